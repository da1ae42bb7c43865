"""Convolutions whose maps are pooled in squares of 2x2, at all edges: the maxima and their winners, through a leaky
ReLU and without one, and the gradients of the filters."""

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph import kernels
from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import extension, problem

pytestmark = pytest.mark.skipif(extension is None, reason=f"no native kernels: {problem}")

NO_PADS = ((0, 0), (0, 0))
SQUARES = ((2, 2), (2, 2), NO_PADS, (1, 1))


@pytest.fixture(autouse=True)
def no_winograd():
    """Which rounds, even sums of whole numbers."""
    with tg.winograd(False):
        yield


SLOPES = (1.0, 0.0, 0.25)  # no activation, ReLU, leaky ReLU


def check(x_shape, w_shape, window=((1, 1), NO_PADS, (1, 1)), groups=1, strange=()):
    """Equal to the twins bit by bit: of whole numbers all sums are exact, and there are squares with several maxima."""
    rng = np.random.default_rng(sum(x_shape))
    x, w, b = (rng.integers(-3, 4, shape).astype(np.float32) for shape in (x_shape, w_shape, w_shape[:1]))
    for place, value in strange:
        x[place] = value
    for slope, bias in zip(SLOPES, (b, None, b), strict=True):
        settings = window, groups, SQUARES, False, slope
        out, winners = kernels.conv2d_max_pool2d(x, w, bias, *settings)
        expected = reference.conv2d_max_pool2d(x, w, bias, *settings)
        np.testing.assert_array_equal(out, expected[0])
        np.testing.assert_array_equal(winners, expected[1])
        g = rng.integers(-3, 4, out.shape).astype(np.float32)
        arguments = g, out if slope else None, winners, None, x, w_shape, window, groups, SQUARES, slope
        got = kernels.conv2d_max_pool2d_weight_grad(*arguments)
        for one, other in zip(got, reference.conv2d_max_pool2d_weight_grad(*arguments), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("width", range(2, 68))
def test_every_width(isa, width):
    tg.set_num_threads(1 + width % 2)
    k, f = 1 + width % 5, 1 + width % 13
    pads = ((k // 2, width % 3), (k - 1, width % 2))
    check((1 + width % 4, 1 + width % 3, 4 + width % 7, width + k), (f, 1 + width % 3, k, k), ((1, 1), pads, (1, 1)))
    check((2, 4, 9, width), (6, 2, 2, 1), ((1, 1), ((1, 0), (2, 1)), (1 + width % 2, 3)), groups=2)


@pytest.mark.parametrize(
    ("x_shape", "f", "k"),
    [
        ((3, 1, 28, 28), 32, 3),
        ((5, 1, 28, 28), 20, 3),
        ((4, 8, 24, 24), 8, 5),
        ((1, 3, 70, 70), 7, 3),
        ((0, 1, 28, 28), 8, 3),
        ((2, 11, 12, 12), 9, 5),  # almost as many taps as are summed in one go
        ((1, 1, 5, 600), 3, 2),  # rows of which two do not fit what the gradient sums in one go
    ],
)
@pytest.mark.parametrize("pad", [0, 1])
def test_networks_layers(isa, threads, x_shape, f, k, pad):
    check(x_shape, (f, x_shape[1], k, k), ((1, 1), ((pad, pad), (pad, pad)), (1, 1)))


def test_what_is_not_finite(isa):
    for value in (np.nan, np.inf, -np.inf):
        with np.errstate(invalid="ignore"):
            check((2, 1, 11, 13), (5, 1, 3, 3), strange=[((1, 0, 4, 6), value)])
            check((2, 2, 28, 28), (5, 2, 3, 3), strange=[((0, 1, 0, 0), value), ((1, 0, 27, 27), -value)])


def test_the_result_does_not_depend_on_the_threads():
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((37, 1, 28, 28), (20, 1, 3, 3)))
    window = (1, 1), NO_PADS, (1, 1)
    found = []
    for threads in (1, 2, 3):
        tg.set_num_threads(threads)
        out, winners = kernels.conv2d_max_pool2d(x, w, None, window, 1, SQUARES, False, 0.0)
        grads = kernels.conv2d_max_pool2d_weight_grad(out, None, winners, None, x, w.shape, window, 1, SQUARES)
        found.append((out, winners, *grads))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
