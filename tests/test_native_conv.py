"""The algorithms that compute a convolution without Winograd's tiles, or lead to them, each at all its edges:
phases of strided convolutions, images side by side, windows that are the whole image, and filters of one tap."""

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph import kernels
from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import extension, problem
from tensorgraph.kernels.shapes import window_sizes

pytestmark = pytest.mark.skipif(extension is None, reason=f"no native kernels: {problem}")

NO_PADS = ((0, 0), (0, 0))


def sample(x_shape, w_shape, how, seed=0):
    """x, w, b and an upstream gradient g."""
    rng = np.random.default_rng(seed)
    maps = window_sizes(x_shape[2:], w_shape[2:], *how[:3])
    shapes = x_shape, w_shape, w_shape[:1], (x_shape[0], w_shape[0], *maps)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def results(conv, x, w, b, g, how):
    """The forward pass with and without an activation, and all gradients, by the kernels `conv`."""
    return [
        conv.conv2d(x, w, b, *how),
        conv.conv2d(x, w, None, *how, "relu"),
        conv.conv2d_input_grad(g, w, x.shape, *how),
        *conv.conv2d_weight_grad(g, x, w.shape, *how),
    ]


def check(x_shape, w_shape, how, tolerance=3e-6):
    """Equal to the twins in float64, but for rounding: of the largest value, or of the size of sums that cancel."""
    arrays = sample(x_shape, w_shape, how)
    wanted = results(reference, *(a.astype(np.float64) for a in arrays), how)
    (n, _, p, q), (f, c, kh, kw) = arrays[3].shape, w_shape
    terms = c * kh * kw, c * kh * kw, f * kh * kw, n * p * q, n * p * q
    for got, exact, count in zip(results(kernels, *arrays, how), wanted, terms, strict=True):
        assert got.dtype == np.float32
        scale = max(np.abs(exact).max(initial=0), count**0.5)
        np.testing.assert_allclose(got, exact, rtol=0, atol=tolerance * scale)


# --- strided convolutions by phases ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x_shape", "f", "kernel", "stride", "pads"),
    [
        ((2, 12, 28, 28), 24, (6, 6), (2, 2), ((2, 2), (2, 2))),
        ((2, 3, 59, 51), 20, (11, 11), (4, 4), NO_PADS),
        ((1, 3, 60, 62), 9, (11, 10), (4, 4), ((2, 1), (5, 0))),  # pixels that no window sees
        ((3, 5, 17, 23), 17, (5, 6), (2, 2), ((1, 4), (3, 2))),
        ((2, 1, 40, 31), 8, (9, 9), (3, 3), ((0, 8), (8, 0))),
        ((2, 2, 30, 27), 16, (10, 9), (2, 2), ((3, 3), (4, 4))),  # of 5x5 taps each
        ((2, 4, 25, 50), 8, (6, 14), (2, 5), ((1, 1), (6, 6))),
        ((0, 12, 28, 28), 24, (6, 6), (2, 2), NO_PADS),
    ],
)
def test_phases(isa, x_shape, f, kernel, stride, pads):
    check(x_shape, (f, x_shape[1], *kernel), (stride, pads, (1, 1), 1), tolerance=4e-6)


@pytest.mark.parametrize("width", range(1, 68))
def test_phases_of_every_width(width):
    pads = ((2, 3), (width % 6, 5))
    check((2, 2, 9, width), (8, 2, 6, 6), ((2, 2), pads, (1, 1), 1), tolerance=4e-6)
    check((1, 1, 14, width + 1), (9, 1, 11, 11), ((4, 4), ((4, 0), (10, 4)), (1, 1), 1), tolerance=4e-6)


def test_strided_convolutions_take_the_algorithm_that_rounds_more():
    """What the tests above are about: with it, results differ from those of the plain sum."""
    how = (2, 2), ((2, 2), (2, 2)), (1, 1), 1
    arrays = sample((2, 12, 28, 28), (24, 12, 6, 6), how)
    fast = results(kernels, *arrays, how)
    with tg.winograd(False):
        exact = results(kernels, *arrays, how)
    assert all((a != b).any() for a, b in zip(fast[:-1], exact[:-1], strict=True))


def test_phases_and_pooling_in_one(isa):
    x, w, b, _ = sample((3, 4, 21, 25), (18, 4, 6, 6), ((2, 2), NO_PADS, (1, 1), 1))
    window, pool = ((2, 2), ((2, 2), (1, 3)), (1, 1)), ((2, 2), (2, 2), NO_PADS, (1, 1))
    out, winners = kernels.conv2d_max_pool2d(x, w, b, window, 1, pool, False)
    expected = reference.max_pool2d(kernels.conv2d(x, w, b, *window, 1), *pool, False)
    np.testing.assert_array_equal(out, expected[0])
    np.testing.assert_array_equal(winners, expected[1])


# --- lanes of pixels: images side by side ----------------------------------------------------------------------------


@pytest.mark.parametrize("width", range(1, 68))
def test_images_side_by_side(isa, width):
    tg.set_num_threads(1)  # so many images for each thread that eight of them may stand side by side
    f, k = 1 + width % 9, 1 + width % 5
    same = ((k // 2, k // 2), (k // 2, k // 2))
    check((19, 3, 4, width), (f, 3, k, k), ((1, 1), same, (1, 1), 1))
    check((5, 2, 3, width + 2 * k), (f, 2, 2, k + 1), ((1, 1), ((0, 1), (0, k)), (1, 2), 1))
    check((17, 4, 3, width), (2 * f, 2, 3, 1), ((1, 1), ((2, 2), (0, 3)), (1, 1), 2))


def test_images_side_by_side_with_more_taps_than_are_summed_in_one_go(isa):
    tg.set_num_threads(1)
    same = ((2, 2), (2, 2))
    check((11, 40, 7, 9), (3, 40, 5, 5), ((1, 1), same, (1, 1), 1))
    check((2, 40, 7, 40), (5, 40, 5, 5), ((1, 1), same, (1, 1), 1))
    check((9, 6, 14, 14), (16, 6, 5, 5), ((1, 1), NO_PADS, (1, 1), 1))


def test_images_side_by_side_and_pooling_in_one(isa):
    tg.set_num_threads(1)
    x, w, b, _ = sample((13, 3, 12, 11), (7, 3, 5, 5), ((1, 1), NO_PADS, (1, 1), 1))
    window, pool = ((1, 1), ((2, 2), (1, 3)), (1, 1)), ((2, 3), (2, 2), NO_PADS, (1, 1))
    out, winners = kernels.conv2d_max_pool2d(x, w, b, window, 1, pool, False)
    expected = reference.max_pool2d(kernels.conv2d(x, w, b, *window, 1), *pool, False)
    np.testing.assert_array_equal(out, expected[0])
    np.testing.assert_array_equal(winners, expected[1])


# --- few channels: Winograd's tiles in the lanes ----------------------------------------------------------------------


@pytest.mark.parametrize(("k", "size"), [(5, 24), (3, 32), (5, 17)])
@pytest.mark.parametrize("how", [((1, 1), (1, 1), 1), ((2, 1), (1, 1), 1), ((1, 1), (1, 2), 1), ((1, 1), (1, 1), 2)])
def test_few_channels(isa, threads, k, size, how):
    stride, dilation, groups = how  # only the first are such that it fits
    for pads in (NO_PADS, ((k // 2, k // 2), (k // 2, k // 2)), ((k, 1), (0, k))):
        check((9, 8, size, size - 1), (12, 8 // groups, k, k), (stride, pads, dilation, groups))


# --- plain matrix products -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x_shape", "f", "groups"),
    [((9, 16, 5, 5), 120, 1), ((1, 1, 1, 1), 1, 1), ((33, 2, 1, 7), 3, 1), ((4, 6, 3, 2), 10, 2), ((0, 3, 2, 2), 4, 1)],
)
def test_a_window_that_is_the_whole_image(isa, x_shape, f, groups):
    w_shape = (f, x_shape[1] // groups, *x_shape[2:])
    check(x_shape, w_shape, ((1, 1), NO_PADS, (1, 1), groups))
    check(x_shape, w_shape, ((3, 2), NO_PADS, (1, 1), groups))
    check(x_shape, w_shape, ((2, 2), ((1, 0), (0, 1)), (1, 1), groups))  # not quite the whole


@pytest.mark.parametrize("width", range(1, 68))
def test_filters_of_one_tap(isa, width):
    how = (1, 1), NO_PADS, (1, 1), 1
    check((2, 40, 3, width), (33, 40, 1, 1), how)
    check((3, 5, 1 + width % 4, width), (1 + width % 34, 5, 1, 1), how)
    check((2, 6, 5, width), (4, 3, 1, 1), (*how[:3], 2))


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "how"),
    [
        ((7, 4, 21, 19), (18, 4, 6, 6), ((2, 2), ((2, 2), (2, 2)), (1, 1), 1)),
        ((40, 6, 14, 14), (16, 6, 5, 5), ((1, 1), NO_PADS, (1, 1), 1)),
        ((11, 8, 24, 21), (8, 8, 5, 5), ((1, 1), NO_PADS, (1, 1), 1)),
        ((9, 16, 32, 32), (16, 16, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)),
        ((37, 1, 9, 26), (5, 1, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)),
        ((37, 16, 5, 5), (120, 16, 5, 5), ((1, 1), NO_PADS, (1, 1), 1)),
        ((5, 70, 9, 9), (40, 70, 1, 1), ((1, 1), NO_PADS, (1, 1), 1)),
    ],
)
def test_results_do_not_depend_on_the_threads(isa, x_shape, w_shape, how):
    arrays = sample(x_shape, w_shape, how)
    tg.set_num_threads(1)
    alone = results(kernels, *arrays, how)
    for n in (2, 3, 7):
        tg.set_num_threads(n)
        for a, b in zip(alone, results(kernels, *arrays, how), strict=True):
            np.testing.assert_array_equal(a, b)
