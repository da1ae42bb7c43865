"""Convolution and its gradients, compiled: fused im2col, no column matrix in memory. float32; the rest is NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import ACTIVATIONS, FLOAT32, extension, settings
from tensorgraph.kernels.native.pool import MOST_TAPS, pool_numbers
from tensorgraph.kernels.reference.windows import Array
from tensorgraph.kernels.shapes import Pads, Sizes, window_sizes

_native: Any = extension


def _numbers(stride: Sizes, padding: Pads, dilation: Sizes, groups: int) -> tuple[int, ...]:
    """As the compiled kernels take them. What is padded at the end follows from the number of windows."""
    return *stride, padding[0][0], padding[1][0], *dilation, groups


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
    if x.dtype != FLOAT32:
        return reference.conv2d(x, w, b, stride, padding, dilation, groups, activation)
    counts = window_sizes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    numbers = *counts, *_numbers(stride, padding, dilation, groups)
    return _native.conv2d(x, w, b, *numbers, ACTIVATIONS[activation], settings.winograd)


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
    kernel, stride, padding, dilation = pool
    if x.dtype != FLOAT32 or kernel[0] * kernel[1] > MOST_TAPS:
        return reference.conv2d_max_pool2d(x, w, b, window, groups, pool, ceil_mode, negative_slope)
    maps = window_sizes(x.shape[2:], w.shape[2:], *window)
    counts = window_sizes(maps, kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    numbers = *maps, *_numbers(*window, groups), settings.winograd
    return _native.conv2d_max_pool2d(x, w, b, *numbers, *counts, *pool_numbers(*pool), negative_slope)


def conv2d_input_grad(
    g: Array, w: Array, x_shape: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> Array:
    if g.dtype != FLOAT32:
        return reference.conv2d_input_grad(g, w, x_shape, stride, padding, dilation, groups)
    numbers = *x_shape[1:], *_numbers(stride, padding, dilation, groups)
    return _native.conv2d_input_grad(g, w, *numbers, settings.winograd)


def conv2d_weight_grad(
    g: Array, x: Array, w_shape: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> tuple[Array, Array]:
    if g.dtype != FLOAT32:
        return reference.conv2d_weight_grad(g, x, w_shape, stride, padding, dilation, groups)
    numbers = *w_shape[1:], *_numbers(stride, padding, dilation, groups)
    return _native.conv2d_weight_grad(g, x, *numbers, settings.winograd)


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
    if g.dtype != FLOAT32 or winners.dtype != np.uint8:
        return reference.conv2d_max_pool2d_weight_grad(
            g, pooled, winners, maps_grad, x, w_shape, window, groups, pool, negative_slope
        )
    maps = window_sizes(x.shape[2:], w_shape[2:], *window)
    numbers = *w_shape[1:], *maps, *_numbers(*window, groups), settings.winograd
    numbers += pool_numbers(*pool)
    return _native.conv2d_max_pool2d_weight_grad(g, pooled, winners, maps_grad, x, *numbers, negative_slope)
