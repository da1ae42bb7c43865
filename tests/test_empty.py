"""Axes of size 0 and 1: no special case anywhere, results as in NumPy, gradients in the shape of the arguments."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tensorgraph as tg

LABELS = np.zeros(0, int)
INF = np.inf

# (function, shapes of the arguments, the result: NumPy says it, or it is written out)
CASES = {
    "sum": (tg.sum, [(0, 3)], 0.0),
    "sum along": (lambda x: tg.sum(x, axis=0), [(0, 3)], np.zeros(3)),
    "sum along the others": (lambda x: tg.sum(x, axis=1, keepdims=True), [(0, 3)], np.zeros((0, 1))),
    "prod": (lambda x: tg.prod(x, axis=-1), [(2, 0)], np.ones(2)),
    "cumsum": (lambda x: tg.cumsum(x, axis=1), [(2, 0)], np.zeros((2, 0))),
    "norm": (tg.norm, [(0,)], 0.0),
    "max of the others": (lambda x: tg.max(x, axis=1), [(0, 3)], np.zeros(0)),
    "logsumexp": (lambda x: tg.logsumexp(x, axis=1), [(2, 0)], np.full(2, -INF)),
    "softmax": (tg.softmax, [(2, 0)], np.zeros((2, 0))),
    "softmax of the others": (lambda x: tg.softmax(x, axis=1), [(0, 3)], np.zeros((0, 3))),
    "log_softmax": (tg.log_softmax, [(2, 0)], np.zeros((2, 0))),
    "reshape": (lambda x: x.reshape(3, -1), [(0, 3)], np.zeros((3, 0))),
    "transpose": (tg.transpose, [(0, 3)], np.zeros((3, 0))),
    "flip": (tg.flip, [(0, 3)], np.zeros((0, 3))),
    "pad": (lambda x: tg.pad(x, 1), [(0,)], np.zeros(2)),
    "broadcast_to": (lambda x: tg.broadcast_to(x, (2, 0)), [(1,)], np.zeros((2, 0))),
    "concatenate": (lambda x, y: tg.concatenate([x, y]), [(0, 2), (1, 2)], np.ones((1, 2))),
    "stack": (lambda x, y: tg.stack([x, y]), [(0,), (0,)], np.zeros((2, 0))),
    "split": (lambda x: tg.split(x, [0], axis=1)[0], [(2, 3)], np.zeros((2, 0))),
    "an empty slice": (lambda x: x[1:1], [(3,)], np.zeros(0)),
    "an empty list": (lambda x: x[[]], [(3, 2)], np.zeros((0, 2))),
    "an empty mask": (lambda x: x[np.zeros(3, bool)], [(3,)], np.zeros(0)),
    "take": (lambda x: tg.take(x, np.zeros((2, 0), int)), [(3,)], np.zeros((2, 0))),
    "matmul over nothing": (tg.matmul, [(2, 0), (0, 3)], np.zeros((2, 3))),
    "matmul of nothing": (tg.matmul, [(0, 2, 3), (3, 2)], np.zeros((0, 2, 2))),
    "dot": (tg.dot, [(0,), (0,)], 0.0),
    "einsum": (lambda x, y: tg.einsum("ij,jk->ik", x, y), [(2, 0), (0, 3)], np.zeros((2, 3))),
    "einsum of a diagonal": (lambda x: tg.einsum("ii->i", x), [(0, 0)], np.zeros(0)),
    "einsum summed": (lambda x: tg.einsum("ij->i", x), [(2, 0)], np.zeros(2)),
    "einsum broadcast": (lambda x, y: tg.einsum("ij,ij->j", x, y), [(1, 3), (2, 3)], np.full(3, 2.0)),
    "linear without inputs": (tg.linear, [(2, 0), (3, 0), (3,)], np.ones((2, 3))),
    "linear without outputs": (tg.linear, [(4, 2, 3), (0, 3), (0,)], np.zeros((4, 2, 0))),
    "linear of a vector without outputs": (tg.linear, [(3,), (0, 3)], np.zeros(0)),
    "conv2d of no images": (tg.conv2d, [(0, 1, 3, 3), (2, 1, 2, 2)], np.zeros((0, 2, 2, 2))),
    "conv2d_transpose of no images": (tg.conv2d_transpose, [(0, 1, 3, 3), (1, 2, 2, 2)], np.zeros((0, 2, 4, 4))),
    "max_pool2d of no images": (lambda x: tg.max_pool2d(x, 2), [(0, 1, 4, 4)], np.zeros((0, 1, 2, 2))),
    "avg_pool2d of no images": (lambda x: tg.avg_pool2d(x, 2), [(0, 1, 4, 4)], np.zeros((0, 1, 2, 2))),
    "losses of no cases": (lambda x: tg.softmax_cross_entropy(x, LABELS, reduction="none"), [(0, 3)], np.zeros(0)),
    "the loss of no cases": (lambda x: tg.nll_loss(x, LABELS, reduction="sum"), [(0, 3)], 0.0),
    "size 1, squeezed": (tg.squeeze, [(1, 2, 1)], np.ones(2)),
    "size 1, softmax": (tg.softmax, [(2, 1)], np.ones((2, 1))),
    "size 1, var": (lambda x: tg.var(x, axis=1), [(2, 1)], np.zeros(2)),
    "size 1, conv2d": (tg.conv2d, [(1, 1, 1, 1), (1, 1, 1, 1)], np.ones((1, 1, 1, 1))),
    "size 1, max_pool2d": (lambda x: tg.max_pool2d(x, 1), [(1, 1, 1, 1)], np.ones((1, 1, 1, 1))),
}


@pytest.mark.parametrize(("f", "shapes", "expected"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("create_graph", [False, True])
def test_axes_of_size_0_and_1(f, shapes, expected, create_graph):
    leaves = [tg.ones(*shape, dtype="float64", requires_grad=True) for shape in shapes]
    out = f(*leaves)
    assert out.shape == np.shape(expected)
    np.testing.assert_array_equal(out.detach().data, expected)
    out.backward(np.ones(out.shape), create_graph=create_graph)
    for leaf, shape in zip(leaves, shapes, strict=True):
        assert (leaf.grad.shape, leaf.grad.dtype) == (shape, np.float64)
        assert np.isfinite(leaf.grad.detach().data).all()


@pytest.mark.parametrize("f", [tg.mean, tg.var, tg.std])
def test_the_mean_of_nothing_is_nan(f):
    x = tg.ones(0, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of it, as it should
        y = f(x)
        y.backward()
    assert np.isnan(y.item())
    assert x.grad.shape == (0,)
