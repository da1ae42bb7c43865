"""Winograd's convolutions against sums in float64: what they compute, how well they round, on every instruction set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from tensorgraph import kernels
from tensorgraph.kernels import _choice, reference

native = _choice.extension
pytestmark = pytest.mark.skipif(native is None, reason=f"no compiled kernels: {_choice.problem}")

ROUNDING = {(3, 2): 1e-6, (3, 4): 4e-6, (5, 2): 4e-6}  # (filter, tile): of the largest value


def sample(n, c, h, w, f, k, pads, seed=0):
    """Arguments of a convolution, and its results in float64: out, x_grad, w_grad, b_grad."""
    rng = np.random.default_rng(seed)
    (top, bottom), (left, right) = pads
    counts = h + top + bottom - k + 1, w + left + right - k + 1
    shapes = (n, c, h, w), (f, c, k, k), (f,), (n, f, *counts)
    x, weight, b, g = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    exact = [a.astype(np.float64) for a in (x, weight, b, g)]
    if g.size == 0:
        return (x, weight, b, g), [np.zeros(a.shape) for a in (g, x, weight, b)]
    how = (1, 1), pads, (1, 1), 1
    wanted = [
        reference.conv2d(*exact[:3], *how),
        reference.conv2d_input_grad(exact[3], exact[1], x.shape, *how) if c else np.zeros(x.shape),
        reference.conv2d_weight_grad(exact[3], exact[0], weight.shape, *how)[0],
        exact[3].sum((0, 2, 3)),
    ]
    return (x, weight, b, g), wanted


def tilings(k):
    """Tiles and whether they are in the lanes of vectors, for filters of k x k."""
    return [(2, False), (4, False), (4, True)] if k == 3 else [(2, False), (2, True)]


def results(x, w, b, g, pads, tiling):
    settings = 1, 1, pads[0][0], pads[1][0], 1, 1, 1
    out = native.conv2d_winograd(x, w, b, *g.shape[2:], *settings, 0, *tiling)
    x_grad = native.conv2d_winograd_input_grad(g, w, *x.shape[1:], *settings, *tiling)
    return [out, x_grad, *native.conv2d_winograd_weight_grad(g, x, *w.shape[1:], *settings, tiling[0])]


def error(got, wanted, terms=0):
    """Of the largest value; sums of so many terms that happen to be small are measured by their standard deviation."""
    assert got.shape == wanted.shape
    return np.abs(got - wanted).max(initial=0) / max(np.abs(wanted).max(initial=0), terms**0.5, 1e-30)


def check(shape, pads):
    arguments, wanted = sample(*shape, pads)
    n, c, _, _, f, k = shape
    pixels = n * arguments[3].shape[2] * arguments[3].shape[3]
    terms = [c * k * k, f * k * k, pixels, pixels]
    for tiling in tilings(k):
        got = results(*arguments, pads, tiling)
        errors = [error(*each) for each in zip(got, wanted, terms, strict=True)]
        assert max(errors) <= ROUNDING[k, tiling[0]], (shape, pads, tiling, native.isa(), errors)


SAME = ((1, 1), (1, 1))
NONE = ((0, 0), (0, 0))


@pytest.mark.parametrize(
    ("shape", "pads"),
    [
        ((3, 17, 13, 13, 33, 3), NONE),
        ((2, 3, 7, 9, 5, 3), SAME),
        ((2, 40, 9, 7, 50, 3), ((2, 0), (1, 2))),
        ((3, 16, 1, 1, 16, 3), SAME),
        ((5, 5, 3, 3, 64, 3), ((2, 2), (2, 2))),
        ((1, 1, 3, 3, 1, 3), NONE),
        ((2, 64, 32, 32, 32, 3), SAME),
        ((1, 300, 6, 10, 20, 3), ((0, 1), (2, 0))),  # more channels than are added in one chain
        ((40, 20, 12, 12, 24, 3), SAME),  # more than one group of tiles
        ((1, 2, 5, 300, 3, 3), SAME),  # more tiles in a row than in a product
        ((1, 160, 4, 4, 700, 3), SAME),  # many filters for few tiles
        ((2, 20, 9, 27, 24, 5), ((2, 2), (2, 2))),
        ((2, 9, 5, 6, 33, 5), ((4, 0), (1, 3))),
    ],
)
def test_results(isa, shape, pads):
    check(shape, pads)


@pytest.mark.parametrize("shape", [(0, 4, 5, 5, 4, 3), (2, 0, 5, 5, 4, 3), (2, 4, 5, 5, 0, 3), (2, 4, 3, 2, 4, 3)])
def test_empty(shape):
    check(shape, NONE)


@pytest.mark.parametrize("width", range(1, 68))
def test_every_width(width):
    check((1, 3, 2, width, 2, 3), SAME)


@pytest.mark.parametrize("channels", range(1, 68, 3))
def test_every_number_of_channels(channels):
    check((2, channels, 6, 5, 68 - channels, 3), SAME)


@settings(deadline=None, max_examples=examples(40))
@given(st.data())
def test_any_shape(data):
    isa = data.draw(st.sampled_from(native.isas()))
    k = data.draw(st.sampled_from([3, 3, 5]))
    pads = tuple(tuple(data.draw(st.integers(0, k - 1)) for _ in range(2)) for _ in range(2))
    smallest = [max(1, k - sum(pad)) for pad in pads]
    n, c, f = (data.draw(st.integers(1, most)) for most in (5, 40, 40))
    h, w = (data.draw(st.integers(least, 20)) for least in smallest)
    native.choose_isa(isa)
    native.set_num_threads(data.draw(st.sampled_from([1, 2, 5])))
    check((n, c, h, w, f, k), pads)


@pytest.mark.parametrize("shape", [(20, 32, 14, 14, 40, 3), (3, 200, 8, 8, 260, 3), (2, 20, 9, 27, 24, 5)])
def test_threads_do_not_matter(shape):
    (pads, k) = (SAME, shape[-1])
    arguments, _ = sample(*shape, pads)
    for tiling in tilings(k):
        runs = []
        for threads in (1, 2, 3, 2):
            native.set_num_threads(threads)
            runs.append(results(*arguments, pads, tiling))
        for other in runs[1:]:
            for a, b in zip(runs[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("tiling", tilings(3))
def test_bias_and_activation(isa, tiling):
    (x, w, b, g), _ = sample(2, 20, 9, 9, 40, 3, SAME)
    call = [*g.shape[2:], 1, 1, 1, 1, 1, 1, 1]
    with_bias = native.conv2d_winograd(x, w, b, *call, 0, *tiling)
    assert error(with_bias - native.conv2d_winograd(x, w, None, *call, 0, *tiling), b[:, None, None] + 0 * g) < 1e-5
    np.testing.assert_array_equal(native.conv2d_winograd(x, w, b, *call, 1, *tiling), np.maximum(with_bias, 0))
    x[0, 3, 4, 4] = np.nan
    assert np.isnan(native.conv2d_winograd(x, w, b, *call, 1, *tiling)[0, :, 3:6, 3:6]).all()


@pytest.mark.parametrize("size", [(12, 12), (13, 17), (24, 24), (40, 11)])
@pytest.mark.parametrize("slope", [1.0, 0.0, 0.25])
def test_maxima_of_tiles(isa, threads, size, slope):
    """Tiles of 2x2 in the lanes of vectors are the squares of a pooling: they are all that is stored."""
    for pads in (NONE, ((2, 2), (2, 2)), ((3, 1), (0, 4))):
        (x, w, b, _), (maps, *_) = sample(8, 8, *size, 9, 5, pads)
        x[2, 3, 4, 5] = np.nan
        pool = (2, 2), (2, 2), NONE, (1, 1)
        out, winners = kernels.conv2d_max_pool2d(x, w, b, ((1, 1), pads, (1, 1)), 1, pool, False, slope)
        dead = np.isnan(out)
        assert dead.any()
        assert dead[2].sum() == dead.sum() < dead[2].size
        cut = slope == 0 and winners == 4
        taken = reference.max_pool2d_take(maps, np.where(cut, 0, winners), *pool)  # of two that round alike, either
        wanted = reference.leaky_relu(reference.max_pool2d(maps, *pool, False)[0], slope)
        most = np.abs(wanted).max()
        assert np.abs(np.where(dead, 0, out - wanted)).max() <= 4e-6 * most
        assert np.abs(np.where(dead | cut, 0, reference.leaky_relu(taken, slope) - wanted)).max() <= 8e-6 * most
        assert (out[cut] == 0).all()


def test_nonsense_is_refused():
    (x, w, b, g), _ = sample(1, 4, 6, 6, 4, 3, SAME)
    for how, tile in [((2, 1, 1, 1, 1, 1, 1), 4), ((1, 1, 1, 1, 1, 2, 1), 4), ((1, 1, 1, 1, 1, 1, 2), 4)]:
        with pytest.raises(ValueError, match=r"must be 1|do not fit"):
            native.conv2d_winograd(x, w, b, 6, 6, *how, 0, tile, 0)
    for tile in (0, 3, 5, -1, 1 << 40):
        with pytest.raises(ValueError, match="with tile"):
            native.conv2d_winograd(x, w, b, 6, 6, 1, 1, 1, 1, 1, 1, 1, 0, tile, 0)
    with pytest.raises(ValueError, match="must be of 4x4"):
        native.conv2d_winograd(x, w, b, 6, 6, 1, 1, 1, 1, 1, 1, 1, 0, 2, 1)
    with pytest.raises(ValueError, match="smaller than the filters"):
        native.conv2d_winograd_input_grad(g, w, 4, 6, 6, 1, 1, 3, 1, 1, 1, 1, 4, 0)
    with pytest.raises(ValueError, match="filters must be"):
        native.conv2d_winograd_weight_grad(g, x, 4, 7, 7, 1, 1, 1, 1, 1, 1, 1, 2)
