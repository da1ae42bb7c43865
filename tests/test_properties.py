"""Hypothesis chooses shapes, axes, indices and settings; NumPy says the values, differences the gradients."""

from __future__ import annotations

import math

import differences
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tensorgraph as tg

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=3)
SEEDS = st.integers(0, 2**32 - 1)


def numbers(shape, seed):
    """Numbers of both signs without ties, at least 0.01 apart and away from 0."""
    size = math.prod(shape)
    rng = np.random.default_rng(seed)
    return (rng.permutation(size) * 0.05 - size * 0.025 + rng.uniform(0.01, 0.03, size)).reshape(shape)


def check(function, reference, *arrays):
    """The value against NumPy's, and the gradient of every argument against differences."""
    tensors = [tg.tensor(a, requires_grad=True) for a in arrays]
    out = function(*tensors)
    expected = reference(*arrays)
    assert out.shape == np.shape(expected)
    np.testing.assert_allclose(out.data, expected, rtol=1e-11, atol=1e-12)
    upstream = numbers(out.shape, 7) + 0.5
    out.backward(upstream)
    for i, tensor in enumerate(tensors):
        differences.assert_close(
            tensor.grad.data, differences.gradient(reference, [np.array(a) for a in arrays], i, upstream), 1e-6
        )


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0), SEEDS)
def test_broadcasting(shapes, seed):
    a, b = (numbers(shape, seed + i) for i, shape in enumerate(shapes.input_shapes))
    check(lambda x, y: x * y + x, lambda x, y: x * y + x, a, b)
    check(
        lambda x, y: x - y / (x * x + 1), lambda x, y: x - y / (x * x + 1), a, b
    )  # no kink near which differences err


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3), SEEDS)
def test_where_and_maximum(shapes, seed):
    a, b, c = (numbers(shape, seed + i) for i, shape in enumerate(shapes.input_shapes))
    check(lambda x, y: tg.where(c > 0, x, y), lambda x, y: np.where(c > 0, x, y), a, b)
    np.testing.assert_array_equal(tg.maximum(tg.tensor(a), b).data, np.maximum(a, b))


@given(st.data(), FULL_SHAPES, SEEDS, st.booleans())
def test_reductions(data, shape, seed, keepdims):
    axis = data.draw(
        st.none() | hnp.valid_tuple_axes(len(shape), min_size=1) | st.integers(-len(shape), len(shape) - 1)
    )
    x = numbers(shape, seed)
    for name in ("sum", "mean", "var", "prod", "max", "min"):
        reference = getattr(np, name)
        check(
            lambda t, name=name: getattr(tg, name)(t, axis=axis, keepdims=keepdims),
            lambda a, reference=reference: reference(a, axis=axis, keepdims=keepdims),
            x,
        )


@given(st.data(), FULL_SHAPES, SEEDS)
def test_basic_indices(data, shape, seed):
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    check(lambda t: t[index], lambda a: a[index], numbers(shape, seed))


@given(st.data(), FULL_SHAPES, SEEDS)
def test_integer_indices_with_repeats(data, shape, seed):
    dims = data.draw(st.integers(1, len(shape)))
    result = hnp.broadcastable_shapes((2, 3), min_dims=0, max_dims=2)
    index = tuple(
        data.draw(hnp.arrays(np.int64, data.draw(result), elements=st.integers(-size, size - 1)))
        for size in shape[:dims]
    )
    check(lambda t: t[index], lambda a: a[index], numbers(shape, seed))
    mixed = (..., index[-1]) if dims == len(shape) else (index[0], ..., None)
    check(lambda t: t[mixed], lambda a: a[mixed], numbers(shape, seed))


@given(st.data(), FULL_SHAPES, SEEDS)
def test_masks_and_take(data, shape, seed):
    x = numbers(shape, seed)
    mask = data.draw(hnp.arrays(bool, shape))
    check(lambda t: t[mask], lambda a: a[mask], x)
    positions = data.draw(hnp.arrays(np.int64, (2, 2), elements=st.integers(-x.size, x.size - 1)))
    check(lambda t: tg.take(t, positions), lambda a: np.take(a, positions), x)


@given(st.data(), FULL_SHAPES, SEEDS)
def test_rearrangements(data, shape, seed):
    x = numbers(shape, seed)
    ndim = len(shape)
    order = tuple(data.draw(st.permutations(range(ndim))))
    axis = data.draw(st.integers(-ndim, ndim - 1))
    check(lambda t: t.transpose(order), lambda a: a.transpose(order), x)
    check(lambda t: t.flip(axis), lambda a: np.flip(a, axis), x)
    check(lambda t: t.expand_dims(axis).squeeze(axis), lambda a: a, x)
    check(lambda t: t.cumsum(axis), lambda a: a.cumsum(axis), x)
    check(lambda t: tg.concatenate([t, t * 2], axis), lambda a: np.concatenate([a, a * 2], axis), x)
    check(lambda t: tg.stack([t, t * 2], axis), lambda a: np.stack([a, a * 2], axis), x)
    check(lambda t: t.reshape(-1, shape[0]), lambda a: a.reshape(-1, shape[0]), x)
    cut = data.draw(st.integers(0, shape[axis]))
    check(lambda t: tg.split(t, [cut], axis)[1], lambda a: np.split(a, [cut], axis)[1], x)


@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), SEEDS)
def test_matmul(data, n, k, m, seed):
    batch = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=3)).input_shapes
    left = data.draw(st.sampled_from([(k,), (n, k), (*batch[0], n, k)]))
    right = data.draw(st.sampled_from([(k,), (k, m), (*batch[1], k, m)]))
    check(tg.matmul, np.matmul, numbers(left, seed), numbers(right, seed + 1))


@st.composite
def einsums(draw):
    """Subscripts and shapes: letters may repeat, be summed, be broadcast from size 1, or stand for any axes (...)."""
    sizes = {letter: draw(st.integers(1, 3)) for letter in "abcd"}
    dots = draw(st.lists(st.integers(1, 2), max_size=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3))
        shape = [sizes[letter] for letter in letters]
        if draw(st.booleans()):
            width = draw(st.integers(0, len(dots)))
            place = draw(st.integers(0, len(letters)))
            shape[place:place] = dots[len(dots) - width :]
            letters.insert(place, "...")
        terms.append("".join(letters))
        shapes.append(tuple(shape))
    used = sorted({letter for term in terms for letter in term.replace(".", "")})
    output = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    if any("..." in term for term in terms):
        output = "..." + output
    return ",".join(terms) + "->" + output, shapes


@given(einsums(), SEEDS)
def test_einsum(case, seed):
    subscripts, shapes = case
    arrays = [numbers(shape, seed + i) for i, shape in enumerate(shapes)]
    implied = subscripts.partition("->")[0]  # NumPy then puts out the letters that stand once, in alphabetical order
    for text in (subscripts, implied):
        check(lambda *t, text=text: tg.einsum(text, *t), lambda *a, text=text: np.einsum(text, *a), *arrays)


@given(SHAPES, st.sampled_from(["float32", "float64"]), SEEDS)
def test_types_and_shapes_of_functions_of_one_array(shape, dtype, seed):
    x = tg.tensor(numbers(shape, seed).astype(dtype), requires_grad=True)
    for function in (tg.exp, tg.sigmoid, tg.relu, tg.tanh, tg.softplus, tg.abs, lambda t: t * 2 - 1.5, lambda t: 2**t):
        out = function(x)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)
        (g,) = tg.gradients(out, x, np.ones(shape))
        assert (g.shape, g.dtype) == (x.shape, x.dtype)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 4)), elements=st.floats(-1e30, 1e30)))
def test_softmax_is_a_distribution_for_logits_of_any_size(logits):
    share = tg.softmax(tg.tensor(logits)).data
    assert (share >= 0).all()
    np.testing.assert_allclose(share.sum(axis=-1), 1, rtol=1e-12)
    losses = tg.softmax_cross_entropy(tg.tensor(logits), np.zeros(len(logits), int), reduction="none").data
    assert (losses >= 0).all()
    assert np.isfinite(losses).all()
