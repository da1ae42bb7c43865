"""Single functions give PyTorch's values and gradients, where it is installed: random shapes, settings and types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

import tensorgraph as tg
from tensorgraph.testing import strategies

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare functions with")
F = torch.nn.functional

few = settings(max_examples=examples(20))
dtypes = st.sampled_from([np.float32, np.float64])
TOLERANCES = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}


def compare(ours, theirs, *tensors):
    """Values and gradients, on arrays and recorded, for a random upstream gradient; the tensors are float."""
    leaves = [torch.tensor(np.array(x.detach()), requires_grad=True) for x in tensors]
    out, expected = ours(*tensors), theirs(*leaves)
    close(out, expected)
    up = np.random.default_rng(0).normal(size=out.shape).astype(out.dtype)
    (expected * torch.tensor(up)).sum().backward()
    gradients = [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves]
    for create_graph in (False, True):
        for g, wanted in zip(
            tg.gradients(out, tensors, up, create_graph=create_graph, retain_graph=True), gradients, strict=True
        ):
            close(g, wanted)


def close(ours, theirs):
    """Within some units of the last digit of the largest number."""
    got, expected = np.asarray(ours.detach()), theirs.detach().numpy()
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    largest = np.abs(expected).max(initial=0.0, where=np.isfinite(expected))
    tolerance = TOLERANCES[got.dtype]
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * largest)


# --- element by element ----------------------------------------------------------------------------------------------

WIDE, POSITIVE = (-3.0, 3.0), (0.1, 3.0)
ONE = dict.fromkeys("exp expm1 sin cos arctan sinh cosh tanh sigmoid neg abs relu".split(), (torch, WIDE))
ONE |= dict.fromkeys("leaky_relu elu gelu softplus".split(), (F, WIDE))
ONE |= dict.fromkeys("sqrt log log1p".split(), (torch, POSITIVE)) | {"tan": (torch, (-1.2, 1.2))}


@pytest.mark.parametrize("name", ONE)
@few
@given(data=st.data(), dtype=dtypes)
def test_functions_of_one_array(name, data, dtype):
    module, (low, high) = ONE[name]
    x = data.draw(strategies.tensors(low=low, high=high, away_from=0.0, dtype=dtype))
    compare(getattr(tg, name), getattr(module, name), x)


TWO = {"add": WIDE, "sub": WIDE, "mul": WIDE, "div": POSITIVE, "pow": POSITIVE, "maximum": WIDE, "minimum": WIDE}


@pytest.mark.parametrize("name", TWO)
@few
@given(data=st.data(), dtype=dtypes)
def test_functions_of_two_arrays(name, data, dtype):
    low, high = TWO[name]
    x, y = data.draw(strategies.broadcastable(low=low, high=high, dtype=dtype))
    y = tg.tensor(y.detach().numpy() + dtype(0.01), requires_grad=True)  # no ties: there PyTorch shares the gradient
    compare(getattr(tg, name), getattr(torch, name), x, y)


# --- along axes ------------------------------------------------------------------------------------------------------


def extreme(function):
    return lambda x, dim, keepdim: function(x, dim, keepdim).values


ALONG = {
    "sum": torch.sum,
    "mean": torch.mean,
    "prod": torch.prod,
    "logsumexp": torch.logsumexp,
    "norm": lambda x, dim, keepdim: torch.linalg.vector_norm(x, 2, dim, keepdim),
    "var": lambda x, dim, keepdim: torch.var(x, dim, correction=0, keepdim=keepdim),
    "std": lambda x, dim, keepdim: torch.std(x, dim, correction=0, keepdim=keepdim),
    "max": extreme(torch.max),
    "min": extreme(torch.min),
}


def axes(x):
    return st.integers(-x.ndim, x.ndim - 1)


matrices = st.lists(st.integers(2, 4), min_size=1, max_size=4).map(tuple)  # of one number, std has no slope


@pytest.mark.parametrize("name", ALONG)
@few
@given(data=st.data(), dtype=dtypes, keepdims=st.booleans())
def test_reductions(name, data, dtype, keepdims):
    x = data.draw(strategies.tensors(matrices, dtype=dtype))
    axis = data.draw(axes(x))
    ours = getattr(tg, name)
    compare(lambda t: ours(t, axis=axis, keepdims=keepdims), lambda t: ALONG[name](t, axis, keepdims), x)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cumsum", "flip"])
@few
@given(data=st.data(), dtype=dtypes)
def test_functions_along_an_axis(name, data, dtype):
    x = data.draw(strategies.tensors(matrices, dtype=dtype))
    axis = data.draw(axes(x))
    theirs = (lambda t: torch.flip(t, (axis,))) if name == "flip" else lambda t: getattr(torch, name)(t, axis)
    compare(lambda t: getattr(tg, name)(t, axis=axis), theirs, x)


# --- images ----------------------------------------------------------------------------------------------------------


@few
@given(data=st.data(), dtype=dtypes)
def test_conv2d(data, dtype):
    x, w, b, options = data.draw(strategies.conv2d_cases(dtype=dtype))
    given_ones = (x, w) if b is None else (x, w, b)
    compare(lambda *t: tg.conv2d(*t, **options), lambda *t: F.conv2d(*t, **options), *given_ones)


@few
@given(data=st.data(), dtype=dtypes)
def test_conv2d_transpose(data, dtype):
    """The images that a convolution gives, back with the same filters."""
    x, w, _, options = data.draw(strategies.conv2d_cases(dtype=dtype).filter(leaves_something))
    images = tg.tensor(tg.conv2d(x.detach().numpy(), w.detach().numpy(), **options), requires_grad=True)
    compare(lambda *t: tg.conv2d_transpose(*t, **options), lambda *t: F.conv_transpose2d(*t, **options), images, w)


def leaves_something(case):
    """The windows, put side by side again, are more than the padding that is cut off."""
    sizes = zip(case.x.shape[2:], case.w.shape[2:], *(case.options[name] for name in ("stride", "padding", "dilation")))
    covered = [(n + 2 * p - d * (k - 1) - 1) // s * s + d * (k - 1) + 1 - 2 * p for n, k, s, p, d in sizes]
    return min(covered) > 0


@few
@given(data=st.data(), dtype=dtypes)
def test_pooling(data, dtype):
    x, options = data.draw(strategies.pool2d_cases(dtype=dtype))
    compare(lambda t: tg.max_pool2d(t, **options), lambda t: F.max_pool2d(t, **options), x)
    window = {name: options[name] for name in ("kernel_size", "stride", "padding")}
    compare(lambda t: tg.avg_pool2d(t, **window), lambda t: F.avg_pool2d(t, **window), x)
    size = tuple(data.draw(st.integers(1, n)) for n in x.shape[2:])
    compare(lambda t: tg.adaptive_avg_pool2d(t, size), lambda t: F.adaptive_avg_pool2d(t, size), x)


# --- losses ----------------------------------------------------------------------------------------------------------


@few
@given(data=st.data(), dtype=dtypes, reduction=st.sampled_from(["mean", "sum", "none"]))
def test_losses(data, dtype, reduction):
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(2, 5)))
    logits = data.draw(strategies.tensors(shape, dtype=dtype, low=-20.0, high=20.0))
    labels = np.array([data.draw(st.integers(0, shape[1] - 1)) for _ in range(shape[0])])
    option = {"reduction": reduction}
    compare(
        lambda t: tg.softmax_cross_entropy(t, labels, **option),
        lambda t: F.cross_entropy(t, torch.tensor(labels), **option),
        logits,
    )
    target = tg.softmax(data.draw(strategies.tensors(shape, dtype=dtype)).detach(), axis=1).numpy()
    for ours, theirs in (
        (tg.softmax_cross_entropy, F.cross_entropy),
        (tg.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits),
        (tg.mse_loss, F.mse_loss),
    ):
        compare(
            lambda t, ours=ours: ours(t, target, **option),
            lambda t, theirs=theirs: theirs(t, torch.tensor(target), **option),
            logits,
        )


# --- what is not finite, and zeros of both signs ---------------------------------------------------------------------

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 100.0, -100.0, 1e30, -1e30]
OTHERWISE = {  # where ours has reasons to differ, or PyTorch contradicts itself
    "abs": [np.nan],  # NaN, where PyTorch's slope is 0
    "elu": [np.nan],  # PyTorch's slope depends on how many numbers there are
    "gelu": [np.inf, -np.inf],  # infinity, where PyTorch has NaN
}


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(name, dtype):
    values = np.array([x for x in SPECIAL if not any(np.array_equal(x, o, True) for o in OTHERWISE.get(name, []))])
    with np.errstate(all="ignore"):
        compare(getattr(tg, name), getattr(ONE[name][0], name), tg.tensor(values.astype(dtype), requires_grad=True))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_pairs(name, dtype):
    x, y = (tg.tensor(a.astype(dtype), requires_grad=True) for a in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        compare(getattr(tg, name), getattr(torch, name), x, y)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "max", "min", "logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_rows(name, dtype):
    few_values = [np.inf, -np.inf, np.nan, 0.0, -0.0, 2.0, -3.0]
    rows = np.stack(np.meshgrid(few_values, few_values, few_values), axis=-1).reshape(-1, 3).astype(dtype)
    x = tg.tensor(rows, requires_grad=True)
    ours = getattr(tg, name)
    theirs = ALONG.get(name, lambda t, dim, keepdim: getattr(torch, name)(t, dim))
    with np.errstate(all="ignore"):
        compare(lambda t: ours(t, axis=-1), lambda t: theirs(t, -1, False), x)
