"""Pooling and its gradients, one tap of the window at a time: KH*KW passes over the output, nothing is padded.

A tap of some windows lies in the padding, or beyond the end with ceil_mode. Each pass leaves those windows out, so the
padding takes part in nothing: it is never a maximum and adds nothing to a sum.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tensorgraph.kernels.reference.activations import activate_grad
from tensorgraph.kernels.reference.windows import Array
from tensorgraph.kernels.shapes import Pads, Sizes, window_sizes

Region = tuple[slice, slice, slice, slice]  # of (N, C, H, W)
ALL = slice(None)


def _taps(
    sizes: Sizes, counts: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes
) -> Iterator[tuple[int, Region, Region]]:
    """For each tap: its number, the windows in which it lies inside the images, and the places that it sees there."""
    rows, columns = (
        [_one_tap(k * d - before, s, size, count) for k in range(taps)]
        for size, count, taps, s, (before, _), d in zip(sizes, counts, kernel, stride, padding, dilation, strict=True)
    )
    for i, (out_rows, x_rows) in enumerate(rows):
        for j, (out_columns, x_columns) in enumerate(columns):
            yield i * kernel[1] + j, (ALL, ALL, out_rows, out_columns), (ALL, ALL, x_rows, x_columns)


def _one_tap(offset: int, stride: int, size: int, count: int) -> tuple[slice, slice]:
    """Along one axis a tap sees place o*S + offset in window o: the windows where that is inside, and the places."""
    first = max(0, -(offset // stride))
    last = max(first, min(count, (size - 1 - offset) // stride + 1))  # not included
    start = first * stride + offset
    return slice(first, last), slice(start, start + (last - first) * stride, stride)


# --- the largest -----------------------------------------------------------------------------------------------------


def max_pool2d(
    x: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, ceil_mode: bool
) -> tuple[Array, Array]:
    """The maximum of each window and the number of the tap that saw it first: (N, C, H, W) -> twice (N, C, OH, OW).

    NaN counts as larger than any number.
    """
    counts = window_sizes(x.shape[2:], kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    taps = list(_taps(x.shape[2:], counts, kernel, stride, padding, dilation))
    out = np.full((*x.shape[:2], *counts), -np.inf, x.dtype)
    for _, inside, places in taps:
        np.maximum(out[inside], x[places], out=out[inside])
    found = np.zeros(out.shape, bool)
    winners = np.zeros(out.shape, np.min_scalar_type(len(taps)))
    for _, inside, places in taps:
        seen = x[places]
        found[inside] |= (seen == out[inside]) | (seen != seen)
        winners += ~found  # in the end, the number of taps before the first that saw the maximum
    return out, winners


def max_pool2d_grad(
    g: Array, winners: Array, x_shape: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """Add each window's gradient to the place that won it: (N, C, OH, OW) -> (N, C, H, W)."""
    out = np.zeros(x_shape, g.dtype)
    for tap, inside, places in _taps(x_shape[2:], g.shape[2:], kernel, stride, padding, dilation):
        out[places] += np.where(winners[inside] == tap, g[inside], g.dtype.type(0))
    return out


def max_pool2d_take(x: Array, winners: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """What x holds at the place that won each window, `max_pool2d_grad`'s adjoint: (N, C, H, W) -> (N, C, OH, OW)."""
    out = np.zeros(winners.shape, x.dtype)
    for tap, inside, places in _taps(x.shape[2:], winners.shape[2:], kernel, stride, padding, dilation):
        np.copyto(out[inside], x[places], where=winners[inside] == tap)
    return out


# --- the average -----------------------------------------------------------------------------------------------------


def avg_pool2d(
    x: Array, kernel: Sizes, stride: Sizes, padding: Pads, ceil_mode: bool, count_include_pad: bool
) -> Array:
    """The average of each window: (N, C, H, W) -> (N, C, OH, OW)."""
    counts = window_sizes(x.shape[2:], kernel, stride, padding, (1, 1), ceil_mode=ceil_mode)
    out = np.zeros((*x.shape[:2], *counts), x.dtype)
    for _, inside, places in _taps(x.shape[2:], counts, kernel, stride, padding, (1, 1)):
        out[inside] += x[places]
    out /= _window_areas(x.shape[2:], counts, kernel, stride, padding, count_include_pad).astype(x.dtype)
    return out


def avg_pool2d_grad(
    g: Array, x_shape: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, count_include_pad: bool
) -> Array:
    """Spread each window's gradient evenly over what it averaged: (N, C, OH, OW) -> (N, C, H, W)."""
    counts = g.shape[2:]
    share = g / _window_areas(x_shape[2:], counts, kernel, stride, padding, count_include_pad).astype(g.dtype)
    out = np.zeros(x_shape, g.dtype)
    for _, inside, places in _taps(x_shape[2:], counts, kernel, stride, padding, (1, 1)):
        out[places] += share[inside]
    return out


def pooled_activation_grad(
    g: Array, maps: Array, activation: str, kernel: Sizes, stride: Sizes, padding: Pads, count_include_pad: bool
) -> Array:
    """The gradient of x from that of avg_pool2d(activate(x, activation)), g (N, C, OH, OW).

    maps: (N, C, H, W), what the activation gave.
    """
    g = avg_pool2d_grad(g, maps.shape, kernel, stride, padding, count_include_pad)
    return activate_grad(g, maps, activation)


def _window_areas(
    sizes: Sizes, counts: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, count_include_pad: bool
) -> Array:
    """How many elements each average divides by, those in the padding among them or not: (OH, OW).

    What a window of ceil_mode has beyond the padding never counts (PyTorch's rule).
    """
    heights, widths = (
        _window_lengths(*axis, count_include_pad) for axis in zip(sizes, counts, kernel, stride, padding, strict=True)
    )
    return heights[:, None] * widths


def _window_lengths(
    size: int, count: int, kernel: int, stride: int, padding: tuple[int, int], count_include_pad: bool
) -> Array:
    """`_window_areas` along one axis."""
    before, after = padding
    starts = np.arange(count) * stride - before
    ends = np.minimum(starts + kernel, size + after)
    if count_include_pad:
        return ends - starts
    return np.minimum(ends, size) - np.maximum(starts, 0)


# --- the average over a given number of bins -------------------------------------------------------------------------


def adaptive_avg_pool2d(x: Array, bins: Sizes) -> Array:
    """Cut each image into OH x OW bins, which may overlap by one, and average each: (N, C, H, W) -> (N, C, OH, OW)."""
    n, c, h, w = x.shape
    rows = np.empty((n, c, bins[0], w), x.dtype)  # (N, C, OH, W)
    for i, bin in enumerate(_bins(h, bins[0])):
        rows[:, :, i] = x[:, :, bin].mean(axis=2)
    out = np.empty((n, c, *bins), x.dtype)
    for j, bin in enumerate(_bins(w, bins[1])):
        out[..., j] = rows[..., bin].mean(axis=3)
    return out


def adaptive_avg_pool2d_grad(g: Array, x_shape: Sizes) -> Array:
    """Spread the gradient of each bin evenly over it: (N, C, OH, OW) -> (N, C, H, W)."""
    rows = np.zeros((*g.shape[:3], x_shape[3]), g.dtype)  # (N, C, OH, W)
    for j, bin in enumerate(_bins(x_shape[3], g.shape[3])):
        rows[..., bin] += g[..., j : j + 1] / g.dtype.type(bin.stop - bin.start)
    out = np.zeros(x_shape, g.dtype)
    for i, bin in enumerate(_bins(x_shape[2], g.shape[2])):
        out[:, :, bin] += rows[:, :, i : i + 1] / g.dtype.type(bin.stop - bin.start)
    return out


def _bins(size: int, count: int) -> list[slice]:
    """Bin i goes from floor(i size / count) to ceil((i + 1) size / count)."""
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
