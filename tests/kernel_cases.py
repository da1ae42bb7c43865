"""What tests/random_kernels.py calls: for every compiled kernel, a function that draws possible arguments of all kinds.

Strides, paddings, dilations, groups, empty batches, odd layouts, and the sizes that each algorithm is made for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tensorgraph.kernels import reference
from tensorgraph.kernels.reference.activations import activate
from tensorgraph.kernels.shapes import window_sizes


class Case(NamedTuple):
    """One call of a compiled kernel and of its twin."""

    arguments: tuple[Any, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 (nobody changes it)
    settle: Callable[..., Any] = lambda results, arguments: results  # what to compare
    terms: int = 1  # that are added up: their sum may happen to be small, or an activation makes it so


ACTIVATIONS = ["none", "relu", "tanh", "sigmoid"]
CASES: dict[str, Callable[[Any], Case | None]] = {}  # None: what was drawn is impossible


def case(*names):
    """Say that a function of (rng, name) draws the calls of these kernels."""

    def decorate(draw):
        CASES.update({name: lambda rng, name=name: draw(rng, name) for name in names})
        return draw

    return decorate


# --- what is drawn ---------------------------------------------------------------------------------------------------


def integer(rng, low, high):
    """From low to high, both included."""
    return int(rng.integers(low, high + 1))


def integers(rng, low, high, count=2):
    return tuple(integer(rng, low, high) for _ in range(count))


def pick(rng, items):
    return items[integer(rng, 0, len(items) - 1)]


def odd(rng, array):
    """The same numbers in some other layout: turned round, with gaps, reversed, not aligned, read-only."""
    layout = integer(rng, 0, 7)
    if layout == 0:
        return array.copy(order="F")
    if layout == 1 and array.ndim:
        gaps = np.zeros((*array.shape[:-1], array.shape[-1] * 2 + 1), array.dtype)
        gaps[..., 1::2] = array
        return gaps[..., 1::2]
    if layout == 2 and array.ndim:
        return np.ascontiguousarray(array[::-1])[::-1]
    if layout == 3:
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
        raw[...] = array
        return raw
    if layout == 4:
        array.flags.writeable = False
    return array


def floats(rng, *shape):
    return odd(rng, rng.standard_normal(shape).astype(np.float32))


def shape(rng, axes=None, most=2000):
    """Any shape of at most so many elements; one axis in a hundred is empty."""
    sizes = []
    for _ in range(integer(rng, 1, 4) if axes is None else axes):
        sizes.append(0 if rng.random() < 0.01 else integer(rng, 1, max(1, min(70, most))))
        most //= max(1, sizes[-1])
    return tuple(int(size) for size in rng.permutation(sizes))


def maybe(rng, array):
    return array if rng.random() < 0.7 else None


# --- convolution -----------------------------------------------------------------------------------------------------


ALGORITHMS = ["any", "any", "tiles", "few channels", "phases", "side by side", "product"]


def layer(rng):
    """Arrays and settings of a convolution: x, w, b, g, (stride, padding, dilation), groups; None if nothing fits.

    Some are such that one of the algorithms is likely: Winograd's tiles, with channels or, where there are few of them,
    tiles in the lanes of vectors, those of the phases of a strided convolution, images side by side, or the product of
    matrices that filters of one tap or of the images' size are.
    """
    likely, groups = pick(rng, ALGORITHMS), pick(rng, [1, 1, 1, 2, 3])
    c, f = groups * integer(rng, 1, 19), groups * pick(rng, [1, 2, 5, 8, 16, 17, 33, 40])
    stride = integers(rng, 1, 4) if likely == "any" else (1, 1)
    dilation = integers(rng, 1, 3) if likely == "any" and rng.random() < 0.5 else (1, 1)
    padding = integers(rng, 0, 3), integers(rng, 0, 3)
    kernel, n, size = integers(rng, 1, 7), integer(rng, 0, 4), integers(rng, 1, 19)
    if likely == "tiles":
        groups, c, f = 1, integer(rng, 8, 24), pick(rng, [8, 16, 17, 33, 40])
        kernel, size = pick(rng, [(3, 3), (5, 5)]), integers(rng, 4, 19)
    elif likely == "few channels":
        groups, c, f, n = 1, integer(rng, 3, 20), pick(rng, [6, 8, 12, 16, 17]), integer(rng, 8, 12)
        kernel, size = pick(rng, [(3, 3), (5, 5)]), integers(rng, 10, 33)
        padding = integers(rng, 0, 2), integers(rng, 0, 2)
    elif likely == "phases":
        groups, c, f = 1, integer(rng, 2, 12), integer(rng, 8, 40)
        stride = pick(rng, [(2, 2), (2, 2), (3, 3), (2, 3), (4, 4)])
        kernel = tuple(integer(rng, 3 * s - 1, 3 * s) for s in stride)
        size = tuple(k + integer(rng, 0, 20) for k in kernel)
    elif likely == "side by side":
        f, n, size = groups * integer(rng, 1, 9), integer(rng, 5, 20), (integer(rng, 3, 9), integer(rng, 1, 40))
    elif likely == "product":
        kernel = pick(rng, [(1, 1), size])
        padding = ((0, 0), (0, 0))
    counts = window_sizes(size, kernel, stride, padding, dilation)
    if min(counts) < 1:
        return None
    x, w = floats(rng, n, c, *size), floats(rng, f, c // groups, *kernel)
    return x, w, floats(rng, f), floats(rng, n, f, *counts), (stride, padding, dilation), groups


@case("conv2d", "conv2d_input_grad", "conv2d_weight_grad")
def convolution(rng, name):
    if (drawn := layer(rng)) is None:
        return None
    x, w, b, g, window, groups = drawn
    arguments = {
        "conv2d": (x, w, maybe(rng, b), *window, groups, pick(rng, ACTIVATIONS)),
        "conv2d_input_grad": (g, w, x.shape, *window, groups),
        "conv2d_weight_grad": (g, x, w.shape, *window, groups),
    }
    terms = {"conv2d": w[0].size, "conv2d_input_grad": w.size // w.shape[1], "conv2d_weight_grad": g.size // len(w)}
    return Case(arguments[name], terms=terms[name])


@case("conv2d_max_pool2d")
def convolution_and_pooling(rng, _name):
    drawn = layer(rng)
    if drawn is None or (sliding := pooling(rng, drawn[3].shape[2:])) is None:
        return None
    x, w, b, _, window, groups = drawn
    *pool, ceil_mode = sliding
    slope = pick(rng, [1.0, 0.0, 0.0, 0.25])

    def settle(results, arguments):
        """Of two that differ by rounding either may win: what it saw is compared."""
        out, winners = results
        images, filters, bias = (None if a is None else np.float64(a) for a in arguments[:3])
        maps = reference.conv2d(images, filters, bias, *window, groups)
        maxima = reference.max_pool2d_take(maps, winners, *pool)  # 0 where ReLU has left nobody
        return out, reference.leaky_relu(maxima, slope)

    return Case((x, w, maybe(rng, b), window, groups, tuple(pool), ceil_mode, slope), settle=settle, terms=w[0].size)


@case("conv2d_max_pool2d_weight_grad")
def pooled_weight_gradient(rng, _name):
    groups = pick(rng, [1, 1, 1, 2, 3])
    c, f = groups * integer(rng, 1, 8), groups * pick(rng, [1, 2, 5, 8, 17])
    window = integers(rng, 1, 2), (integers(rng, 0, 2), integers(rng, 0, 2)), integers(rng, 1, 2)
    x, kernel = floats(rng, integer(rng, 0, 6), c, *integers(rng, 4, 39)), integers(rng, 1, 7)
    maps = window_sizes(x.shape[2:], kernel, *window)
    if min(maps) < 1 or (sliding := pooling(rng, maps)) is None:
        return None
    *pool, ceil_mode = sliding
    g = floats(rng, len(x), f, *window_sizes(maps, *pool, ceil_mode=ceil_mode))
    taps = pool[0][0] * pool[0][1]
    if taps > 255:
        return None  # winners are bytes
    most = pick(rng, [taps, taps, taps, taps + 1, 256])  # numbers of taps that are none, too: nobody won
    winners = odd(rng, rng.integers(0, min(most, 256), g.shape).astype(np.uint8))
    between = reference.max_pool2d_grad(g, winners, (len(x), f, *maps), *pool)
    known = odd(rng, between) if rng.random() < 0.3 else None
    leaky = known is None and rng.random() < 0.5
    pooled, slope = (floats(rng, *g.shape), 0.25) if leaky else (None, 1.0)
    arguments = g, pooled, winners, known, x, (f, c // groups, *kernel), window, groups, tuple(pool), slope
    return Case(arguments, terms=between.size // f)


# --- pooling ---------------------------------------------------------------------------------------------------------


def pooling(rng, size):
    """A possible pooling of images of this size: kernel, stride, padding, dilation, ceil_mode."""
    if rng.random() < 0.3:
        kernel, stride, padding, dilation = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)
    else:
        kernel, stride = integers(rng, 1, 20 if rng.random() < 0.1 else 5), integers(rng, 1, 4)
        dilation = (1, 1) if rng.random() < 0.6 else integers(rng, 1, 3)
        padding = tuple((p, p) for p in (integer(rng, 0, k // 2) for k in kernel))
    ceil_mode = bool(rng.random() < 0.3)
    possible = min(window_sizes(size, kernel, stride, padding, dilation, ceil_mode=ceil_mode)) >= 1
    return (kernel, stride, padding, dilation, ceil_mode) if possible else None


@case("max_pool2d", "max_pool2d_grad", "max_pool2d_take", "avg_pool2d", "avg_pool2d_grad")
def pool(rng, name):
    x = floats(rng, integer(rng, 0, 3), integer(rng, 1, 5), *integers(rng, 1, 70 if rng.random() < 0.2 else 15))
    if (drawn := pooling(rng, x.shape[2:])) is None:
        return None
    kernel, stride, padding, dilation, ceil_mode = drawn
    if name.startswith("avg"):
        average = kernel, stride, padding
        if name == "avg_pool2d":
            return Case((x, *average, ceil_mode, bool(rng.random() < 0.5)))
        dilation = (1, 1)
    counts = window_sizes(x.shape[2:], kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    if min(counts) < 1:
        return None
    g = floats(rng, *x.shape[:2], *counts)
    winners = odd(rng, reference.max_pool2d(x, *drawn)[1]) if name.startswith("max") else None
    window = kernel, stride, padding, dilation
    arguments = {
        "max_pool2d": (x, *window, ceil_mode),
        "max_pool2d_grad": (g, winners, x.shape, *window),
        "max_pool2d_take": (x, winners, *window),
        "avg_pool2d_grad": (g, x.shape, *window[:3], bool(rng.random() < 0.5)),
    }
    return Case(arguments[name])


@case("pooled_activation_grad")
def activation_and_pooling(rng, _name):
    maps = rng.standard_normal((integer(rng, 0, 3), integer(rng, 1, 40), *integers(rng, 1, 30))).astype(np.float32)
    if (drawn := pooling(rng, maps.shape[2:])) is None:
        return None
    kernel, stride, padding, _, ceil_mode = drawn
    counts = window_sizes(maps.shape[2:], kernel, stride, padding, (1, 1), ceil_mode=ceil_mode)
    name, with_padding = pick(rng, ACTIVATIONS[1:]), bool(rng.random() < 0.5)
    out = odd(rng, getattr(reference, name)(maps).astype(np.float32))
    return Case((floats(rng, *maps.shape[:2], *counts), out, name, kernel, stride, padding, with_padding))


@case("adaptive_avg_pool2d", "adaptive_avg_pool2d_grad")
def adaptive_pool(rng, name):
    n, c, *size = integer(rng, 0, 3), integer(rng, 1, 20), *integers(rng, 1, 20)
    bins = (1, 1) if rng.random() < 0.8 else integers(rng, 1, 5)
    if name.endswith("grad"):
        return Case((floats(rng, n, c, *bins), (n, c, *size)))
    return Case((floats(rng, n, c, *size), bins))


# --- element by element ----------------------------------------------------------------------------------------------


@case("relu", "sigmoid", "tanh", "softplus", "normal_cdf", "gelu")
def activation(rng, _name):
    return Case((floats(rng, *shape(rng)) * np.float32(pick(rng, [0.1, 1, 10])),))


@case("relu_grad", "sigmoid_grad", "tanh_grad", "softplus_grad", "gelu_grad")
def activation_grad(rng, name):
    sizes = shape(rng)
    beside = floats(rng, *sizes)
    outputs = {"sigmoid_grad": reference.sigmoid, "tanh_grad": np.tanh}
    return Case((floats(rng, *sizes), outputs[name](beside) if name in outputs else beside))


@case("leaky_relu", "elu")
def sloped(rng, _name):
    return Case((floats(rng, *shape(rng)), float(rng.random())))


@case("leaky_relu_grad", "elu_grad")
def sloped_grad(rng, _name):
    sizes = shape(rng)
    return Case((floats(rng, *sizes), floats(rng, *sizes), float(rng.random())))


@case("add")
def pair(rng, _name):
    sizes = shape(rng, most=pick(rng, [100, 2000, 40_000]))
    return Case((floats(rng, *sizes), floats(rng, *sizes)))


@case("dropout")
def dropped(rng, _name):
    return Case((floats(rng, *shape(rng)), float(rng.random()), tuple(map(int, rng.integers(2**32, size=2)))))


# --- normalization, sums ---------------------------------------------------------------------------------------------


@case("channel_sums")
def sums(rng, _name):
    sizes = shape(rng, integer(rng, 2, 4)) if rng.random() < 0.5 else integers(rng, 1, 70, 3)
    x = floats(rng, *sizes)
    return Case((x,), terms=x.size)


@case("batch_norm", "batch_norm_grad", "batch_norm_in_use")
def normalization(rng, name):
    sizes = shape(rng, integer(rng, 2, 4))
    x, c, eps = floats(rng, *sizes), sizes[1], float(pick(rng, [1e-3, 0.1]))
    if x.size == 0:
        return None  # there is no mean
    weight, bias = maybe(rng, floats(rng, c)), maybe(rng, floats(rng, c))
    activation = pick(rng, ACTIVATIONS)
    if name == "batch_norm_in_use":
        return Case((x, floats(rng, c), odd(rng, np.square(floats(rng, c))), weight, bias, eps))
    if name == "batch_norm":
        return Case((x, weight, bias, eps, activation))
    out, mean, var = reference.batch_norm(x, weight, bias, eps)
    g = rng.standard_normal(sizes).astype(np.float32)
    g[np.abs(out) < 1e-3] = 0  # there rounding decides what ReLU cuts off
    return Case((odd(rng, g), x, weight, bias, odd(rng, mean), odd(rng, var), eps, activation), terms=x.size // c)


# --- linear ----------------------------------------------------------------------------------------------------------


@case("linear", "linear_grads", "linear_input_grad", "matmul")
def product(rng, name):
    *rows, k = shape(rng, integer(rng, 2, 3), most=pick(rng, [2000, 20_000]))
    f = pick(rng, [0, 1, 3, 10, 16, 33, 100]) if rng.random() < 0.5 else integer(rng, 1, 67)
    x, w, b, g = floats(rng, *rows, k), floats(rng, f, k), floats(rng, f), floats(rng, *rows, f)
    activation = pick(rng, ACTIVATIONS)
    after = () if activation == "none" else (activate(floats(rng, *rows, f), activation), activation)
    arguments = {
        "linear": (x, w, maybe(rng, b), pick(rng, ACTIVATIONS)),
        "linear_input_grad": (g, w),
        "linear_grads": (g, x, w, rng.random() < 0.5, *after),
        "matmul": (x.copy(order=pick(rng, "CFK")), w.T.copy(order=pick(rng, "CFK"))),
    }
    return Case(arguments[name], terms=k + math.prod(rows))


# --- softmax ---------------------------------------------------------------------------------------------------------


@case("softmax", "log_softmax", "softmax_grad", "log_softmax_grad")
def softmaxes(rng, name):
    x = floats(rng, *shape(rng)) * np.float32(pick(rng, [1, 10]))
    axis = -1 if rng.random() < 0.8 else integer(rng, 0, x.ndim - 1)
    if not name.endswith("grad"):
        return Case((x, axis))
    out = getattr(reference, name.removesuffix("_grad"))(x, axis)
    return Case((floats(rng, *x.shape), odd(rng, out), axis))


@case("softmax_cross_entropy", "softmax_cross_entropy_grad")
def cross_entropy(rng, name):
    n, c = shape(rng, 2)
    n, c, reduction = max(1, n), max(1, c), pick(rng, ["none", "sum", "mean"])
    logits, target = floats(rng, n, c), rng.integers(c, size=n).astype(pick(rng, ["i8", "i8", "i4", "u1"]))
    if rng.random() < 0.1:
        logits, target = logits[0], target[0:1].reshape(())
    target = odd(rng, target)
    if name == "softmax_cross_entropy":
        return Case((logits, target, reduction), terms=n)
    g = floats(rng, *(target.shape if reduction == "none" else ()))
    return Case((g, odd(rng, reference.softmax(logits, -1)), target, reduction))


# --- steps of the optimizers: what they change is compared -----------------------------------------------------------


def lists(rng, count):
    """So many lists of arrays of the same shapes; all but the second can be written to."""
    sizes = [shape(rng, most=pick(rng, [100, 30_000])) for _ in range(integer(rng, 0, 5))]
    found = [[rng.standard_normal(s).astype(np.float32) for s in sizes] for _ in range(count)]
    found[1] = [odd(rng, array) for array in found[1]]
    if rng.random() < 0.1:
        found[0] = [np.asfortranarray(array) for array in found[0]]
    return found


@case("sgd")
def sgd(rng, _name):
    values, gradients, running = lists(rng, 3)
    options = {"lr": 0.1, "momentum": pick(rng, [0.0, 0.9]), "dampening": pick(rng, [0.0, 0.5])}
    options |= {"weight_decay": pick(rng, [0.0, 0.1]), "nesterov": bool(rng.random() < 0.5)}
    options |= {"fresh": bool(rng.random() < 0.3)}
    return Case((values, gradients, maybe(rng, running)), options, lambda _, arguments: (arguments[0], arguments[2]))


@case("adam")
def adam(rng, _name):
    values, gradients, means, squares = lists(rng, 4)
    squares = [np.abs(array) + np.float32(0.1) for array in squares]
    options = {"step": integer(rng, 1, 5), "lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8}
    options |= {"weight_decay": pick(rng, [0.0, 0.1]), "decoupled": bool(rng.random() < 0.5)}
    return Case((values, gradients, means, squares), options, lambda _, a: (a[0], a[2], a[3]))
