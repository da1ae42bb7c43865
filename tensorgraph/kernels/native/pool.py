"""Pooling and its gradients, compiled. float32; the rest is NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import ACTIVATIONS, FLOAT32, extension
from tensorgraph.kernels.reference.windows import Array
from tensorgraph.kernels.shapes import Pads, Sizes, window_sizes

_native: Any = extension

ONCE = (1, 1)
MOST_TAPS = 255  # that a byte can number


def pool_numbers(kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> tuple[int, ...]:
    """As the compiled kernels take them."""
    return (*kernel, *stride, padding[0][0], padding[1][0], *dilation)


def area_numbers(padding: Pads, count_include_pad: bool) -> tuple[int, ...]:
    """What an average divides by, in the same way."""
    return (padding[0][1], padding[1][1], count_include_pad)


# --- the largest -----------------------------------------------------------------------------------------------------


def max_pool2d(
    x: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, ceil_mode: bool
) -> tuple[Array, Array]:
    if x.dtype != FLOAT32 or kernel[0] * kernel[1] > MOST_TAPS:
        return reference.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    counts = window_sizes(x.shape[2:], kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    return _native.max_pool2d(x, *counts, *pool_numbers(kernel, stride, padding, dilation))


def max_pool2d_grad(
    g: Array, winners: Array, x_shape: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    if g.dtype != FLOAT32 or winners.dtype != np.uint8:
        return reference.max_pool2d_grad(g, winners, x_shape, kernel, stride, padding, dilation)
    return _native.max_pool2d_grad(g, winners, *x_shape[2:], *pool_numbers(kernel, stride, padding, dilation))


def max_pool2d_take(x: Array, winners: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    if x.dtype != FLOAT32 or winners.dtype != np.uint8:
        return reference.max_pool2d_take(x, winners, kernel, stride, padding, dilation)
    return _native.max_pool2d_take(x, winners, *winners.shape[2:], *pool_numbers(kernel, stride, padding, dilation))


# --- the average -----------------------------------------------------------------------------------------------------


def avg_pool2d(
    x: Array, kernel: Sizes, stride: Sizes, padding: Pads, ceil_mode: bool, count_include_pad: bool
) -> Array:
    if x.dtype != FLOAT32:
        return reference.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad)
    counts = window_sizes(x.shape[2:], kernel, stride, padding, ONCE, ceil_mode=ceil_mode)
    areas = area_numbers(padding, count_include_pad)
    return _native.avg_pool2d(x, *counts, *pool_numbers(kernel, stride, padding, ONCE), *areas)


def avg_pool2d_grad(
    g: Array, x_shape: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, count_include_pad: bool
) -> Array:
    if g.dtype != FLOAT32:
        return reference.avg_pool2d_grad(g, x_shape, kernel, stride, padding, count_include_pad)
    areas = area_numbers(padding, count_include_pad)
    return _native.avg_pool2d_grad(g, *x_shape[2:], *pool_numbers(kernel, stride, padding, ONCE), *areas)


def pooled_activation_grad(
    g: Array, maps: Array, activation: str, kernel: Sizes, stride: Sizes, padding: Pads, count_include_pad: bool
) -> Array:
    if not g.dtype == maps.dtype == FLOAT32:
        return reference.pooled_activation_grad(g, maps, activation, kernel, stride, padding, count_include_pad)
    numbers = *pool_numbers(kernel, stride, padding, ONCE), *area_numbers(padding, count_include_pad)
    return _native.pooled_activation_grad(g, maps, *numbers, ACTIVATIONS[activation])


# --- the average over a given number of bins -------------------------------------------------------------------------


def adaptive_avg_pool2d(x: Array, bins: Sizes) -> Array:
    if x.dtype != FLOAT32 or bins != ONCE:
        return reference.adaptive_avg_pool2d(x, bins)
    n, c, h, w = x.shape
    return _native.row_means(x.reshape(n * c, h * w)).reshape(n, c, 1, 1)


def adaptive_avg_pool2d_grad(g: Array, x_shape: Sizes) -> Array:
    if g.dtype != FLOAT32 or g.shape[2:] != ONCE:
        return reference.adaptive_avg_pool2d_grad(g, x_shape)
    return _native.row_means_grad(g.reshape(-1), x_shape[2] * x_shape[3]).reshape(x_shape)
