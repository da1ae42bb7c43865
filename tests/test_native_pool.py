"""Compiled pooling against its twins: every width, layout, instruction set and number of threads, NaN and infinity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from tensorgraph.kernels import _choice, reference
from tensorgraph.kernels.shapes import window_sizes

if _choice.extension is None:
    pytest.skip(f"no compiled kernels: {_choice.problem}", allow_module_level=True)

from tensorgraph.kernels import _native, native

SQUARE = ((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
SPECIAL = np.array([-np.inf, -1, -0.0, 0, 1, 1, np.inf, np.nan], np.float32)  # few values: ties everywhere


def integers(seed, *shape):
    """Small whole numbers: sums of them are exact in any order."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float32)


def special(seed, *shape):
    return np.random.default_rng(seed).choice(SPECIAL, shape)


def same(got, expected):
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def check_max(x, window, ceil_mode, seed=0):
    out, winners = native.max_pool2d(x, *window, ceil_mode)
    for got, expected in zip((out, winners), reference.max_pool2d(x, *window, ceil_mode), strict=True):
        same(got, expected)
    g = integers(seed, *out.shape)
    same(native.max_pool2d_grad(g, winners, x.shape, *window), reference.max_pool2d_grad(g, winners, x.shape, *window))
    same(native.max_pool2d_take(x, winners, *window), reference.max_pool2d_take(x, winners, *window))


def check_avg(x, window, ceil_mode, include):
    kernel, stride, padding, _ = window
    out = native.avg_pool2d(x, kernel, stride, padding, ceil_mode, include)
    same(out, reference.avg_pool2d(x, kernel, stride, padding, ceil_mode, include))
    g, rest = integers(3, *out.shape), (x.shape, kernel, stride, padding, include)
    np.testing.assert_allclose(
        native.avg_pool2d_grad(g, *rest), reference.avg_pool2d_grad(g.astype(float), *rest), 1e-6, 1e-5
    )
    check_activated(g, np.tanh(x - 0.5), rest[1:])


def check_activated(g, maps, rest):
    for name in ("relu", "tanh", "sigmoid"):
        wide = reference.pooled_activation_grad(g.astype(float), maps.astype(float), name, *rest)
        np.testing.assert_allclose(native.pooled_activation_grad(g, maps, name, *rest), wide, 1e-6, 1e-5)


def test_squares_of_every_width(isa, threads):
    for width in range(2, 68):
        x = special(width, 2, 3, 2 + width % 5, width)
        check_max(x, SQUARE, ceil_mode=False)
        check_max(x, SQUARE, ceil_mode=True)
        check_avg(integers(width, 2, 3, 2 + width % 5, width), SQUARE, ceil_mode=False, include=True)


def test_windows_of_every_width(isa, threads):
    for width in range(3, 68):
        for stride in (1, 2, 3):
            window = ((3, 3), (stride, stride), ((1, 1), (1, 1)), (1, 1))
            check_max(special(width, 1, 2, 5, width), window, ceil_mode=False)
            check_avg(integers(width, 1, 2, 5, width), window, ceil_mode=False, include=stride == 2)


@st.composite
def poolings(draw):
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    kernel, stride, dilation = draw(pair), draw(pair), draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple((p, p) for p in (draw(st.integers(0, k // 2)) for k in kernel))
    sizes = draw(st.tuples(st.integers(1, 12), st.integers(1, 40)))
    return sizes, (kernel, stride, padding, dilation), draw(st.booleans()), draw(st.booleans())


@settings(deadline=None, max_examples=examples(150))
@given(poolings(), st.integers(0, 99), st.sampled_from(_native.isas()))
def test_any_pooling(pooling, seed, isa):
    sizes, window, ceil_mode, include = pooling
    kernel, stride, padding, _ = window
    _native.choose_isa(isa)
    if min(window_sizes(sizes, *window, ceil_mode=ceil_mode)) >= 1:
        check_max(special(seed, 2, 2, *sizes), window, ceil_mode, seed)
    window = (kernel, stride, padding, (1, 1))
    if min(window_sizes(sizes, *window, ceil_mode=ceil_mode)) >= 1:
        check_avg(integers(seed, 2, 2, *sizes), window, ceil_mode, include)


def test_infinite_windows_and_windows_of_padding_alone():
    check_max(np.full((1, 1, 5, 9), -np.inf, np.float32), ((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)), ceil_mode=True)
    check_max(special(1, 1, 1, 4, 4), ((2, 2), (1, 1), ((1, 1), (1, 1)), (5, 5)), ceil_mode=False)


def test_255_taps_are_the_most():
    for height in (15, 16):
        check_max(special(1, 1, 2, 20, 20), ((height, 17), (1, 1), ((0, 0), (0, 0)), (1, 1)), ceil_mode=False)


def test_other_layouts_and_types():
    x = integers(1, 2, 3, 8, 26)
    for odd in (
        x[..., ::-1],
        np.asfortranarray(x),
        x.transpose(0, 1, 3, 2),
        np.broadcast_to(x[..., :1], x.shape),
        x[:0],
    ):
        check_max(odd, SQUARE, ceil_mode=False)
        check_avg(odd, SQUARE, ceil_mode=False, include=True)
        check_max(odd.astype(np.float64), SQUARE, ceil_mode=False)


def test_impossible_winners_are_left_out():
    winners = np.full((1, 1, 4, 4), 255, np.uint8)
    assert not native.max_pool2d_grad(integers(0, 1, 1, 4, 4), winners, (1, 1, 8, 8), *SQUARE).any()
    window = ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    winners[:] = np.arange(16).reshape(4, 4)  # some of them in the padding or beyond the window
    assert np.isfinite(native.max_pool2d_take(integers(0, 1, 1, 4, 4), winners, *window)).all()


def test_gradients_through_special_maps():
    maps = special(2, 1, 2, 4, 6)
    with np.errstate(all="ignore"):
        check_activated(integers(5, 1, 2, 2, 3), maps, (*SQUARE[:3], True))
        check_activated(integers(5, 1, 2, 2, 3).astype(float), maps, (*SQUARE[:3], True))
    check_activated(integers(5, 0, 2, 2, 3), maps[:0], (*SQUARE[:3], True))


def test_many_planes_at_once(isa, threads):
    for size in (2, 6, 28, 70):
        x = integers(size, 3, 41, size, size)
        check_avg(x, SQUARE, ceil_mode=False, include=True)
        check_avg(x, ((size, size), (1, 1), ((0, 0), (0, 0)), (1, 1)), ceil_mode=False, include=True)


def test_the_average_of_a_plane(isa, threads):
    for size in range(1, 68):
        x = integers(size, 3, 5, 2, size)
        out = native.adaptive_avg_pool2d(x, (1, 1))
        np.testing.assert_allclose(out, reference.adaptive_avg_pool2d(x.astype(float), (1, 1)), 1e-6, 1e-7)
        same(native.adaptive_avg_pool2d_grad(out, x.shape), np.broadcast_to(out / np.float32(2 * size), x.shape))


@pytest.mark.parametrize("change", [{2: 0}, {2: 16, 3: 16}, {4: 0}, {6: -1}, {8: 2**40}, {0: 2**40}, {0: -1}])
def test_absurd_settings_are_refused(change):
    settings = [4, 4, 2, 2, 2, 2, 0, 0, 1, 1]
    for i, value in change.items():
        settings[i] = value
    with pytest.raises(ValueError, match="max_pool2d"):
        _native.max_pool2d(integers(0, 1, 1, 8, 8), *settings)
