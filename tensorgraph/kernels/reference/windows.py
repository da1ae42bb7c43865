"""Sliding windows over images: the view of all of them, its copy as columns (im2col), and the way back (col2im)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tensorgraph.kernels.shapes import Pads, Sizes, window_sizes

Array = np.ndarray[Any, np.dtype[Any]]


def windows(x: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """What every tap of the kernel sees in every window, a read-only view: (N, C, H, W) -> (N, C, KH, KW, OH, OW)."""
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    seen = sliding_window_view(padded(x, padding), spans, axis=(2, 3))  # a window at every place, a tap at every offset
    seen = seen[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]  # (N, C, OH, OW, KH, KW)
    return seen.transpose(0, 1, 4, 5, 2, 3)


def padded(x: Array, padding: Pads) -> Array:
    """x with zeros around the images: (N, C, H, W) -> (N, C, HP, WP); x itself where there is nothing to add."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    n, c, h, w = x.shape
    out = np.zeros((n, c, top + h + bottom, left + w + right), x.dtype)
    out[:, :, top : top + h, left : left + w] = x
    return out


def add_windows(seen: Array, shape: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """Add what every tap holds to the place it sees, `windows`' adjoint: (N, C, KH, KW, OH, OW) -> (N, C, H, W)."""
    n, c, kh, kw, oh, ow = seen.shape
    (top, bottom), (left, right) = padding
    h, w = shape[2:]
    out = np.zeros((n, c, top + h + bottom, left + w + right), seen.dtype)  # (N, C, HP, WP)
    for i in range(kh):
        rows = slice(i * dilation[0], i * dilation[0] + stride[0] * (oh - 1) + 1, stride[0])
        for j in range(kw):
            columns = slice(j * dilation[1], j * dilation[1] + stride[1] * (ow - 1) + 1, stride[1])
            out[:, :, rows, columns] += seen[:, :, i, j]
    return out[:, :, top : top + h, left : left + w]


def unfold(x: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """Every window as a column, im2col: (N, C, H, W) -> (N, C*KH*KW, OH*OW)."""
    seen = windows(x, kernel, stride, padding, dilation)
    n, c, kh, kw, oh, ow = seen.shape
    return np.array(seen, order="C").reshape(n, c * kh * kw, oh * ow)


def fold(columns: Array, shape: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """Add every column to the window it stands for, col2im: (N, C*KH*KW, OH*OW) -> (N, C, H, W)."""
    n, c = shape[:2]
    counts = window_sizes(shape[2:], kernel, stride, padding, dilation)
    seen = columns.reshape(n, c, *kernel, *counts)
    return np.ascontiguousarray(add_windows(seen, shape, stride, padding, dilation))
