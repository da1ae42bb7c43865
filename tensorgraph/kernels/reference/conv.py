"""Convolution and its two gradients: images become columns (im2col), and the rest is one matrix product a group.

    G groups, C input channels, F filters, K = C/G * KH * KW taps of a filter, T images of a tile, L = OH * OW windows

The columns of a batch would be KH*KW times as large as the batch. They are made for a tile of images at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tensorgraph.kernels.reference.activations import activate, leaky_relu, leaky_relu_grad, relu
from tensorgraph.kernels.reference.pool import max_pool2d, max_pool2d_grad
from tensorgraph.kernels.reference.windows import Array, add_windows, windows
from tensorgraph.kernels.shapes import Pads, Sizes, window_sizes

COLUMN_BYTES = 4 << 20  # bound of the columns of a tile, if it has more than one image; small enough for the cache


def conv2d(
    x: Array,
    w: Array,
    b: Array | None,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
    activation: str = "none",
) -> Array:
    """out[n, f, y, x] = act(b[f] + the sum over c, i, j of w[f, c, i, j] x[n, c, y*S + i*D - P0, x*S + j*D - P0]).

    act is as in `activate`.

    x: (N, C, H, W), w: (F, C/G, KH, KW), b: (F,) or None -> (N, F, OH, OW)

    Raises:
        ValueError: they are not floats of one type that fit each other.
    """
    if not (x.ndim == w.ndim == 4 and x.dtype.kind == "f" and w.dtype == x.dtype):
        raise ValueError("conv2d: x does not fit w")
    if not (b is None or (b.shape == w.shape[:1] and b.dtype == x.dtype)):
        raise ValueError("conv2d: b does not fit w")
    n, f = len(x), len(w)
    oh, ow = window_sizes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    rows = w.reshape(groups, f // groups, -1)  # (G, F/G, K)
    out = np.empty((n, f, oh, ow), x.dtype)
    for tile in _tiles(n, groups * rows.shape[2] * oh * ow * x.itemsize):
        columns = _columns(x[tile], w.shape[2:], stride, padding, dilation, groups)  # (G, K, T*L)
        product = rows @ columns  # (G, F/G, T*L)
        if b is not None:
            product += b.reshape(groups, -1, 1)
        product = activate(product, activation)
        out[tile] = product.reshape(f, -1, oh, ow).swapaxes(0, 1)  # (F, T, OH, OW) -> (T, F, OH, OW)
    return out


def conv2d_max_pool2d(
    x: Array,
    w: Array,
    b: Array | None,
    window: tuple[Sizes, Pads, Sizes],
    groups: int,
    pool: tuple[Sizes, Sizes, Pads, Sizes],
    ceil_mode: bool,
    negative_slope: float = 1.0,
) -> tuple[Array, Array]:
    """A convolution and the max pooling of its maps, which are not kept: the maxima, and the taps that saw them.

    The maxima go through a leaky ReLU: a slope of 0 is ReLU, of 1 nothing. Of what ReLU cuts off nobody is the winner.
    window: the convolution's stride, padding, dilation. pool: the pooling's kernel, stride, padding, dilation.
    """
    out, winners = max_pool2d(conv2d(x, w, b, *window, groups), *pool, ceil_mode)
    if negative_slope:
        return leaky_relu(out, negative_slope), winners
    winners[out <= 0] = pool[0][0] * pool[0][1]
    return relu(out), winners


def conv2d_input_grad(
    g: Array, w: Array, x_shape: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> Array:
    """The gradient of x: every window gets its upstream gradient times the filter, overlaps add up.

    g: (N, F, OH, OW), w: (F, C/G, KH, KW) -> (N, C, H, W)
    """
    n, f, oh, ow = g.shape
    kernel = w.shape[2:]
    rows = w.reshape(groups, f // groups, -1)  # (G, F/G, K)
    out = np.empty(x_shape, g.dtype)
    for tile in _tiles(n, groups * rows.shape[2] * oh * ow * g.itemsize):
        columns = rows.swapaxes(1, 2) @ _flat(g[tile], groups)  # (G, K, F/G) @ (G, F/G, T*L) -> (G, K, T*L)
        seen = columns.reshape(x_shape[1], *kernel, -1, oh, ow)  # (C, KH, KW, T, OH, OW)
        seen = seen.transpose(3, 0, 1, 2, 4, 5)  # (T, C, KH, KW, OH, OW)
        out[tile] = add_windows(seen, x_shape, stride, padding, dilation)
    return out


def conv2d_weight_grad(
    g: Array, x: Array, w_shape: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> tuple[Array, Array]:
    """The gradient of w: what each tap saw in every window times the upstream gradient of that window, summed.

    Beside it the gradient of the bias: the sum of the upstream gradient.
    g: (N, F, OH, OW), x: (N, C, H, W) -> (F, C/G, KH, KW) and (F,)
    """
    f, taps = w_shape[0], w_shape[1] * w_shape[2] * w_shape[3]
    out = np.zeros(w_shape, g.dtype)
    rows = out.reshape(groups, f // groups, taps)  # (G, F/G, K), the same memory
    for tile in _tiles(len(x), groups * taps * g.shape[2] * g.shape[3] * g.itemsize):
        columns = _columns(x[tile], w_shape[2:], stride, padding, dilation, groups)  # (G, K, T*L)
        rows += _flat(g[tile], groups) @ columns.swapaxes(1, 2)  # (G, F/G, T*L) @ (G, T*L, K) -> (G, F/G, K)
    return out, g.sum(axis=(0, 2, 3))


def conv2d_max_pool2d_weight_grad(
    g: Array,
    pooled: Array | None,
    winners: Array,
    maps_grad: Array | None,
    x: Array,
    w_shape: Sizes,
    window: tuple[Sizes, Pads, Sizes],
    groups: int,
    pool: tuple[Sizes, Sizes, Pads, Sizes],
    negative_slope: float = 1.0,
) -> tuple[Array, Array]:
    """`conv2d_weight_grad` of conv2d_max_pool2d: g and the winners (N, F, YH, YW) -> (F, C/G, KH, KW) and (F,).

    pooled: its result, None if it went through no leaky ReLU, or one with a slope of 0 or 1. maps_grad: the gradient of
    the maps before pooling, if it is known; it follows from these.
    """
    if maps_grad is None:
        if pooled is not None:
            g = leaky_relu_grad(g, pooled, negative_slope)
        between = (len(x), w_shape[0], *window_sizes(x.shape[2:], w_shape[2:], *window))
        maps_grad = max_pool2d_grad(g, winners, between, *pool)
    return conv2d_weight_grad(maps_grad, x, w_shape, *window, groups)


def _tiles(n: int, image_bytes: int) -> Iterator[slice]:
    """Cut a batch of n images, whose columns take so many bytes each."""
    size = max(1, COLUMN_BYTES // max(1, image_bytes))
    return (slice(start, start + size) for start in range(0, n, size))


def _columns(x: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int) -> Array:
    """Every window of every image as a column: (T, C, H, W) -> (G, K, T*L)."""
    seen = windows(x, kernel, stride, padding, dilation).transpose(1, 2, 3, 0, 4, 5)  # (C, KH, KW, T, OH, OW)
    c, kh, kw, t, oh, ow = seen.shape
    return np.array(seen, order="C").reshape(groups, c // groups * kh * kw, t * oh * ow)


def _flat(g: Array, groups: int) -> Array:
    """An upstream gradient in the order of the columns: (T, F, OH, OW) -> (G, F/G, T*L)."""
    t, f, oh, ow = g.shape
    return g.swapaxes(0, 1).reshape(groups, f // groups, t * oh * ow)
