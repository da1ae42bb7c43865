"""Compiled activations, batch norm, dropout and sums against their twins in float64, everywhere they may run."""

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph.kernels import _choice, reference

if _choice.extension is None:
    pytest.skip(f"no compiled kernels: {_choice.problem}", allow_module_level=True)

from tensorgraph.kernels import _native, native

# With its gradient: what the gradient takes beside g, and further numbers.
ACTIVATIONS = {
    "relu": ("out", ()),
    "leaky_relu": ("x", (0.1,)),
    "sigmoid": ("out", ()),
    "tanh": ("out", ()),
    "elu": ("x", (1.5,)),
    "softplus": ("x", ()),
    "gelu": ("x", ()),
}
UNITS = {name: 12 if name == "gelu" else 3 for name in ACTIVATIONS}  # gelu's are 5 where it is more than 1e-4
SPECIAL = np.float32([0, -0.0, 1e-40, -1e-40, np.inf, -np.inf, np.nan, 88, -88, 104, -104, -103.5, 3e38, -3e38])


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def exact(kernel, *arguments):
    """What the twin gives in float64."""
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in arguments]
    with np.errstate(all="ignore"):
        return getattr(reference, kernel)(*wide)


def close(got, expected, ulps, slack=0.0):
    """Within so many units in the last place of each number, or within `slack`."""
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    with np.errstate(all="ignore"):
        unit = np.spacing(np.abs(expected).astype(np.float32)).astype(float)
        near = np.abs(got - expected) <= ulps * unit + slack
    narrow = expected.astype(np.float32) if np.isfinite(expected).all() else np.float32(np.where(near, 0, expected))
    assert (near | (got == narrow) | (np.isnan(got) & np.isnan(expected))).all()


# --- activations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_right_to_few_units(name, isa):
    beside, numbers = ACTIVATIONS[name]
    x = np.concatenate([normal(1, 3000) * np.float32(scale) for scale in (1e-20, 1e-4, 0.1, 1, 5, 30)])
    out = getattr(native, name)(x, *numbers)
    close(out, exact(name, x, *numbers), UNITS[name])
    g, other = normal(2, *x.shape), {"x": x, "out": out}[beside]
    close(getattr(native, f"{name}_grad")(g, other, *numbers), exact(f"{name}_grad", g, other, *numbers), 6, 5e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_special_values(name, isa):
    beside, numbers = ACTIVATIONS[name]
    with np.errstate(all="ignore"):
        out, expected = getattr(native, name)(SPECIAL, *numbers), getattr(reference, name)(SPECIAL, *numbers)
    np.testing.assert_allclose(out, expected, 1e-5, 1e-43)
    assert (np.signbit(out) == np.signbit(expected))[:4].all() or name == "relu"  # of zeros, max is free to choose
    g, other = np.ones_like(SPECIAL), {"x": SPECIAL, "out": expected}[beside]
    with np.errstate(all="ignore"):
        expected = getattr(reference, f"{name}_grad")(g, other, *numbers)
    np.testing.assert_allclose(getattr(native, f"{name}_grad")(g, other, *numbers), expected, 1e-5, 1e-43)


@pytest.mark.parametrize("name", ["relu", "tanh", "softplus", "gelu"])
def test_every_length(name, isa, threads):
    x = normal(3, 70)
    whole = getattr(native, name)(x)
    for n in range(68):
        assert (getattr(native, name)(x[:n].copy()) == whole[:n]).all()
    large = normal(4, 40_001)
    close(getattr(native, name)(large), exact(name, large), UNITS[name])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_the_kernels_do_not_take_goes_to_the_twins(name):
    _, numbers = ACTIVATIONS[name]
    x = normal(5, 6, 8)
    for odd in (
        x[:, ::-1],
        np.asfortranarray(x),
        x.astype(np.float64),
        np.broadcast_to(x[:1], x.shape),
        np.array(x[0, 0]),
    ):
        out, expected = getattr(native, name)(odd, *numbers), getattr(reference, name)(odd, *numbers)
        assert out.dtype == expected.dtype
        assert (out == expected).all()
        grad = getattr(native, f"{name}_grad")(odd, odd, *numbers)
        assert (grad == getattr(reference, f"{name}_grad")(odd, odd, *numbers)).all()


# --- batch norm ------------------------------------------------------------------------------------------------------

SIZES = (
    [(1, 1, n) for n in range(2, 68)]
    + [(n, n + 3, 1) for n in (2, 3, 17, 300)]
    + [(5, 35, 1), (3, 2, 5000), (4, 3, 9, 4)]
)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_batch_norm(isa, threads, affine, activation):
    for shape in SIZES:
        x, c = normal(6, *shape) * 2 + 5, shape[1]
        weight, bias = (normal(7, c), normal(8, c)) if affine else (None, None)
        got = native.batch_norm(x, weight, bias, 1e-5, activation)
        for one, expected in zip(got, exact("batch_norm", x, weight, bias, 1e-5, activation), strict=True):
            close(one, expected, 4, 4e-6 * max(1, np.abs(expected).max()))
        # Next to 0 rounding decides what ReLU cuts off: no gradient comes from there.
        edge = exact("batch_norm", x, weight, bias, 1e-5)[0]
        g = normal(9, *shape) * (np.abs(edge) > 1e-4)
        given = g, x, weight, bias, *got[1:], 1e-5, activation
        steepest = np.abs(1 if weight is None else weight).max() / np.sqrt(got[2].min())
        slacks = 2e-6 * np.abs(g).max() * steepest, 1e-7 * np.abs(g).sum(), 1e-7 * np.abs(g).sum()
        for one, expected, slack in zip(
            native.batch_norm_grad(*given), exact("batch_norm_grad", *given), slacks, strict=True
        ):
            close(one, expected, 4, slack)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_in_use(isa, threads, affine):
    for shape in [*SIZES, (1, 5, 1), (2, 3, 1, 1), (64, 30, 40)]:
        c = shape[1]
        weight, bias = (normal(7, c), normal(8, c)) if affine else (None, None)
        given = normal(6, *shape), normal(9, c), normal(10, c) ** 2, weight, bias, 1e-5
        expected = exact("batch_norm_in_use", *given)
        close(native.batch_norm_in_use(*given), expected, 4, 1e-6 * np.abs(expected).max())
    x = np.float32([[0.0, np.nan, np.inf, -np.inf, 1.0]] * 2)
    for odd in (x, x.astype(float), x[:0], x[:, ::-1], x[..., None].repeat(7, axis=2)):
        given = odd, np.float32([0, 1, 2, 3, np.nan]), np.float32([1, 1, 1, -9, 1]), None, None, 1e-5
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(native.batch_norm_in_use(*given), reference.batch_norm_in_use(*given), rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 6, 33), (40, 19, 1), (3, 2, 700)])
def test_the_gradient_passes_where_relu_let_the_number_pass(isa, threads, shape):
    x, weight, bias = normal(16, *shape), normal(17, shape[1]), np.float32(0.3) * normal(18, shape[1])
    out, mean, var = native.batch_norm(x, weight, bias, 1e-5, "relu")
    plain = native.batch_norm(x, weight, bias, 1e-5)
    np.testing.assert_array_equal(out, native.relu(plain[0]))
    g = normal(19, *shape)
    fused = native.batch_norm_grad(g, x, weight, bias, mean, var, 1e-5, "relu")
    masked = native.batch_norm_grad(native.relu_grad(g, out), x, weight, bias, mean, var, 1e-5)
    for one, other in zip(fused, masked, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("outlier", [0, 3, 999])
@pytest.mark.parametrize("far", [1e3, 1e5])
def test_batch_norm_of_numbers_that_begin_far_from_their_mean(isa, outlier, far):
    x = normal(20, 4, 3, 1000)
    x[0, :, : outlier + 1] += np.float32(far)
    _, mean, var = native.batch_norm(x, None, None, 1e-5)
    _, wide_mean, wide_var = exact("batch_norm", x, None, None, 1e-5)
    np.testing.assert_allclose(mean, wide_mean, 1e-6, 1e-6 * np.sqrt(wide_var.max()))
    np.testing.assert_allclose(var, wide_var, 3e-6)


@pytest.mark.parametrize("shape", [(8, 3, 100), (800, 3, 1)])
def test_batch_norm_far_from_zero(shape, isa):
    x = normal(10, *shape) + 3000  # the variance is the difference of squares that agree in seven digits
    _, mean, var = native.batch_norm(x, None, None, 1e-5)
    _, wide_mean, wide_var = exact("batch_norm", x, None, None, 1e-5)
    close(mean, wide_mean, 1)
    np.testing.assert_allclose(var, wide_var, 1e-6)


@pytest.mark.parametrize("shape", [(2, 4, 20), (5, 4, 1)])
def test_batch_norm_of_nan(shape):
    x = normal(11, *shape)
    x[1, 2] = np.nan
    for activation in ("none", "relu"):
        out, mean, var = native.batch_norm(x, None, None, 1e-5, activation)
        assert np.isnan(out[:, 2]).all()
        assert np.isfinite(np.delete(out, 2, axis=1)).all()
        grads = native.batch_norm_grad(x, x, None, None, mean, var, 1e-5, activation)
        assert all(np.isnan(d[2] if d.ndim == 1 else d[:, 2]).any() for d in grads)


def test_the_three_gradients_of_batch_norm_are_computed_once(monkeypatch):
    calls = []
    kernel = native.batch_norm_grad
    monkeypatch.setattr(tg.kernels, "batch_norm_grad", lambda *args: calls.append(0) or kernel(*args))
    x, weight, bias = (tg.tensor(normal(i, *s), requires_grad=True) for i, s in enumerate([(4, 3, 5), (3,), (3,)]))
    tg.batch_norm(x, None, None, weight, bias, training=True).sum().backward()
    assert len(calls) == 1
    assert not any(t.grad is None for t in (x, weight, bias))


# --- dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_keeps_what_its_twin_keeps(isa, threads):
    for n in (*range(68), 40_001):
        x = normal(n, n)
        for p in (0.0, 0.3, 1 - 2**-33, 1.0):
            expected = reference.dropout(x, p, (2**32 - 5, n))
            np.testing.assert_array_equal(native.dropout(x, p, (2**32 - 5, n)), expected)


def test_dropout_behind_the_first_four_billion_elements():
    bits = reference.norm._random_bits
    first, second = (bits(np.arange(s, s + 1000, dtype=np.uint64), np.uint64(1), np.uint64(2)) for s in (0, 2**32))
    assert 0 <= (first == second).sum() <= 1


def test_masks_look_random():
    n, p = 1 << 20, 0.25
    masks = np.stack([native.dropout(np.ones(n, np.float32), p, (key, 9)) > 0 for key in (0, 1, 2, 3000, 2**31)])
    masks = np.concatenate([masks, [native.dropout(np.ones(n, np.float32), p, (0, key)) > 0 for key in (8, 10)]])
    noise = np.sqrt(p * (1 - p) / n)  # the standard deviation of a mean
    assert (np.abs(masks.mean(axis=1) - (1 - p)) < 5 * noise).all()
    correlations = np.corrcoef(masks) - np.eye(len(masks))
    assert np.abs(correlations).max() < 5 / np.sqrt(n)
    for distance in (1, 2, 3, 16, 64, 1024):
        assert abs(np.corrcoef(masks[0, distance:], masks[0, :-distance])[0, 1]) < 5 / np.sqrt(n)


def test_dropouts_gradient_has_its_mask():
    x = tg.tensor(np.ones((50, 70), np.float32), requires_grad=True)
    out = tg.dropout(x, 0.4, rng=np.random.default_rng(0))
    out.sum().backward()
    assert (x.grad.data == out.data).all()


# --- sums ------------------------------------------------------------------------------------------------------------


def test_channel_sums(isa, threads):
    for shape in (
        [(n, n, 1) for n in range(1, 68)] + [(2, 3, n) for n in range(2, 68)] + [(0, 3, 4), (4, 3, 0), (900, 40, 1)]
    ):
        x = normal(12, *shape)
        close(_native.channel_sums(x), exact("channel_sums", x), 2, 1e-7 * np.abs(x).sum())


def test_bias_gradients_and_large_sums(isa, threads):
    for shape, axis in (((300, 70), 0), ((4, 3, 50, 60), (0, 2, 3))):
        x = normal(13, *shape)
        close(tg.sum(x, axis=axis), x.sum(axis=axis, dtype=float), 2, 1e-8 * np.abs(x).sum())
        y = normal(14, *shape)
        assert (tg.add(x, y) == np.add(x, y)).all()
        assert (tg.add(x, y.T.copy().T) == np.add(x, y)).all()
        assert (tg.add(x, y[:1]) == np.add(x, y[:1])).all()
