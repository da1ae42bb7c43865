"""Random programs give PyTorch's values and gradients, where PyTorch is installed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from profiles import examples

from tensorgraph.testing import strategies

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare random programs with")


class InTorch:
    """The functions that programs call, under our names, of PyTorch."""

    def __getattr__(self, name):
        return getattr(torch, {"concatenate": "cat", "expand_dims": "unsqueeze"}.get(name, name))

    @staticmethod
    def softplus(x):
        return torch.logaddexp(x, torch.zeros_like(x))  # PyTorch's own is a straight line beyond 20

    @staticmethod
    def maximum(x, y):
        return torch.where(x >= y, x, y)  # all of the gradient to the first, where PyTorch's own gives half

    @staticmethod
    def concatenate(tensors, axis):
        return torch.cat(tensors, dim=axis)

    @staticmethod
    def sum(x, axis, keepdims=False):
        return _reduced(torch.sum, x, axis, keepdims)

    @staticmethod
    def mean(x, axis, keepdims=False):
        return _reduced(torch.mean, x, axis, keepdims)

    @staticmethod
    def var(x, axis, keepdims=False):
        return _reduced(lambda t, dim, keepdim: torch.var(t, dim=dim, keepdim=keepdim, correction=0), x, axis, keepdims)

    @staticmethod
    def logsumexp(x, axis, keepdims=False):
        return _reduced(torch.logsumexp, x, axis, keepdims)

    @staticmethod
    def max(x, axis, keepdims=False):
        return _reduced(lambda t, dim, keepdim: torch.max(t, dim=dim, keepdim=keepdim).values, x, axis, keepdims)

    @staticmethod
    def softmax(x, axis):
        return torch.softmax(x, dim=axis)

    @staticmethod
    def cumsum(x, axis):
        return torch.cumsum(x, dim=axis)

    @staticmethod
    def conv2d(x, w, stride=1, padding=0):
        padding = [k - 1 for k in w.shape[2:]] if padding == "full" else padding
        return torch.nn.functional.conv2d(x, w, stride=stride, padding=padding)

    @staticmethod
    def max_pool2d(x, size):
        return torch.nn.functional.max_pool2d(x, size)

    @staticmethod
    def avg_pool2d(x, size, stride):
        return torch.nn.functional.avg_pool2d(x, size, stride=stride)

    @staticmethod
    def backwards(x):
        return x.flip(0)

    @staticmethod
    def turned(x):
        return x.permute(*reversed(range(x.ndim)))


def _reduced(function, x, axis, keepdims):
    """A reduction along an axis, or over all axes."""
    if axis is not None:
        return function(x, dim=axis, keepdim=keepdims)
    out = function(x.reshape(-1), dim=0, keepdim=False)
    return out.reshape((1,) * x.ndim) if keepdims else out


def in_torch(program):
    """The program's function with PyTorch's operations; two spellings are NumPy's only."""
    code = re.sub(r"= (\w+)\[::-1\]", r"= tg.backwards(\1)", program.function())
    code = re.sub(r"= (\w+)\.transpose\(\)", r"= tg.turned(\1)", code)
    space = {"tg": InTorch(), "np": np}
    exec(code, space)
    return space["program"]


@settings(max_examples=examples(200))
@given(strategies.programs())
def test_values_and_gradients_are_those_of_pytorch(program):
    ours = program.inputs
    theirs = [torch.tensor(np.array(x.detach()), requires_grad=True) for x in ours]
    results, expected = program(*ours), in_torch(program)(*theirs)
    results, expected = (out if isinstance(out, tuple) else (out,) for out in (results, expected))
    rng = np.random.default_rng(0)
    total, expected_total = 0.0, 0.0
    for one, other in zip(results, expected, strict=True):
        assert tuple(one.shape) == tuple(other.shape)
        np.testing.assert_allclose(np.asarray(one.detach()), other.detach().numpy(), rtol=1e-9, atol=1e-9)
        weight = rng.normal(size=one.shape)
        total = total + (one * weight).sum()
        expected_total = expected_total + (other * torch.tensor(weight)).sum()
    total.backward()
    expected_total.backward()
    for x, y in zip(ours, theirs, strict=True):
        got = np.zeros(x.shape) if x.grad is None else np.asarray(x.grad)
        wanted = np.zeros(x.shape) if y.grad is None else y.grad.numpy()
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-8 * max(1.0, np.abs(wanted).max(initial=0.0)))
