"""Convolution and pooling as loops over single numbers: slow, and meant to be right at a glance.

Settings are spelled as for the kernels: one number for each spatial axis, padding ((top, bottom), (left, right)).
"""

import math
from fractions import Fraction

import numpy as np


def starts(size, kernel, stride, padding, dilation, ceil_mode=False):
    """Where the windows along an axis begin, counted from the first element; the padding is at negative places.

    A window must end inside the padded axis; with ceil_mode less than a stride may hang over, but it must start inside
    the axis or the padding before it.
    """
    before, after = padding
    places = []
    start = -before
    while True:
        end = start + dilation * (kernel - 1)
        if not ceil_mode and end >= size + after:
            return places
        if ceil_mode and (end >= size + after + stride - 1 or start >= size):
            return places
        places.append(start)
        start += stride


def grid(sizes, kernel, stride, padding, dilation, ceil_mode=False):
    """All windows: ((oy, ox), (row, column) of its first element)."""
    rows, columns = (
        starts(*axis, ceil_mode=ceil_mode) for axis in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )
    found = [((oy, ox), (row, column)) for oy, row in enumerate(rows) for ox, column in enumerate(columns)]
    return found, (len(rows), len(columns))


def seen_by(window, sizes, kernel, dilation):
    """What a window sees: (tap (i, j), place (row, column)) for every tap that is not in the padding."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            row, column = window[0] + i * dilation[0], window[1] + j * dilation[1]
            if 0 <= row < sizes[0] and 0 <= column < sizes[1]:
                yield (i, j), (row, column)


# --- convolution -----------------------------------------------------------------------------------------------------


def products(x_shape, w_shape, stride, padding, dilation, groups):
    """Every product that a convolution adds up: where its result goes, where its x and where its w come from."""
    n, _, *sizes = x_shape
    f, c_group, *kernel = w_shape
    windows, _ = grid(sizes, kernel, stride, padding, dilation)
    for image in range(n):
        for filter in range(f):
            group = filter // (f // groups)
            for (oy, ox), window in windows:
                for (i, j), (row, column) in seen_by(window, sizes, kernel, dilation):
                    for c in range(c_group):
                        yield (image, filter, oy, ox), (image, group * c_group + c, row, column), (filter, c, i, j)


def conv2d(x, w, b, stride, padding, dilation, groups):
    _, counts = grid(x.shape[2:], w.shape[2:], stride, padding, dilation)
    out = np.zeros((len(x), len(w), *counts))
    for at_out, at_x, at_w in products(x.shape, w.shape, stride, padding, dilation, groups):
        out[at_out] += float(x[at_x]) * float(w[at_w])
    for f in range(len(w)):
        out[:, f] += 0 if b is None else b[f]
    return out


def conv2d_input_grad(g, w, x_shape, stride, padding, dilation, groups):
    out = np.zeros(x_shape)
    for at_out, at_x, at_w in products(x_shape, w.shape, stride, padding, dilation, groups):
        out[at_x] += float(g[at_out]) * float(w[at_w])
    return out


def conv2d_weight_grad(g, x, w_shape, stride, padding, dilation, groups):
    out = np.zeros(w_shape)
    for at_out, at_x, at_w in products(x.shape, w_shape, stride, padding, dilation, groups):
        out[at_w] += float(g[at_out]) * float(x[at_x])
    return out


def conv2d_transpose(x, w, b, stride, padding, output_padding, dilation, groups):
    """Every number of x puts a filter, times itself, into a large output, whose border is then cut off."""
    n, c, h, width = x.shape
    _, f_group, kh, kw = w.shape
    high = (h - 1) * stride[0] + (kh - 1) * dilation[0] + 1 + output_padding[0]
    wide = (width - 1) * stride[1] + (kw - 1) * dilation[1] + 1 + output_padding[1]
    out = np.zeros((n, f_group * groups, high, wide))
    for image, channel, row, column in np.ndindex(x.shape):
        group = channel // (c // groups)
        for f, i, j in np.ndindex(f_group, kh, kw):
            oy, ox = row * stride[0] + i * dilation[0], column * stride[1] + j * dilation[1]
            product = float(x[image, channel, row, column]) * float(w[channel, f, i, j])
            out[image, group * f_group + f, oy, ox] += product
    for f in range(f_group * groups):
        out[:, f] += 0 if b is None else b[f]
    (top, bottom), (left, right) = padding
    return out[:, :, top : high - bottom, left : wide - right]


def unfold(x, kernel, stride, padding, dilation):
    n, c, *sizes = x.shape
    windows, (oh, ow) = grid(sizes, kernel, stride, padding, dilation)
    out = np.zeros((n, c * kernel[0] * kernel[1], oh * ow))
    for image, channel in np.ndindex(n, c):
        for (oy, ox), window in windows:
            for (i, j), (row, column) in seen_by(window, sizes, kernel, dilation):
                tap = (channel * kernel[0] + i) * kernel[1] + j
                out[image, tap, oy * ow + ox] = x[image, channel, row, column]
    return out


def fold(columns, shape, kernel, stride, padding, dilation):
    n, c, *sizes = shape
    windows, (_, ow) = grid(sizes, kernel, stride, padding, dilation)
    out = np.zeros(shape)
    for image, channel in np.ndindex(n, c):
        for (oy, ox), window in windows:
            for (i, j), (row, column) in seen_by(window, sizes, kernel, dilation):
                tap = (channel * kernel[0] + i) * kernel[1] + j
                out[image, channel, row, column] += columns[image, tap, oy * ow + ox]
    return out


# --- pooling ---------------------------------------------------------------------------------------------------------


def max_pool2d(x, kernel, stride, padding, dilation, ceil_mode):
    """The maxima, and the place (row, column) of each, (-1, -1) for a window that sees nothing."""
    n, c, *sizes = x.shape
    windows, counts = grid(sizes, kernel, stride, padding, dilation, ceil_mode)
    out = np.zeros((n, c, *counts))
    places = np.zeros((n, c, *counts, 2), int)
    for image, channel in np.ndindex(n, c):
        for at, window in windows:
            best, winner = -math.inf, (-1, -1)
            for _, place in seen_by(window, sizes, kernel, dilation):
                value = float(x[(image, channel, *place)])
                if winner == (-1, -1) or value > best or (math.isnan(value) and not math.isnan(best)):
                    best, winner = value, place
            out[(image, channel, *at)] = best
            places[(image, channel, *at)] = winner
    return out, places


def max_pool2d_grad(g, places, x_shape):
    out = np.zeros(x_shape)
    for at in np.ndindex(g.shape):
        if places[at][0] >= 0:
            out[(*at[:2], *places[at])] += float(g[at])
    return out


def shares(x_shape, kernel, stride, padding, ceil_mode, count_include_pad):
    """For every window of average pooling: its position, the places that it sees, and the number it divides by."""
    sizes = x_shape[2:]
    windows, counts = grid(sizes, kernel, stride, padding, (1, 1), ceil_mode)
    found = []
    for at, window in windows:
        places = [place for _, place in seen_by(window, sizes, kernel, (1, 1))]
        in_padded = [
            (row, column)
            for row in range(window[0], window[0] + kernel[0])
            for column in range(window[1], window[1] + kernel[1])
            if row < sizes[0] + padding[0][1] and column < sizes[1] + padding[1][1]
        ]
        found.append((at, places, len(in_padded) if count_include_pad else len(places)))
    return found, counts


def avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad):
    found, counts = shares(x.shape, kernel, stride, padding, ceil_mode, count_include_pad)
    out = np.zeros((*x.shape[:2], *counts))
    for image, channel in np.ndindex(*x.shape[:2]):
        for at, places, divisor in found:
            out[(image, channel, *at)] = sum(float(x[(image, channel, *place)]) for place in places) / divisor
    return out


def avg_pool2d_grad(g, x_shape, kernel, stride, padding, ceil_mode, count_include_pad):
    found, _ = shares(x_shape, kernel, stride, padding, ceil_mode, count_include_pad)
    out = np.zeros(x_shape)
    for image, channel in np.ndindex(*x_shape[:2]):
        for at, places, divisor in found:
            for place in places:
                out[(image, channel, *place)] += float(g[(image, channel, *at)]) / divisor
    return out


def bins(size, count):
    """The places of each bin: those that share a stretch of the axis with it, when each place is 1 wide."""
    width = Fraction(size, count)
    return [[place for place in range(size) if place + 1 > i * width and place < (i + 1) * width] for i in range(count)]


def adaptive_avg_pool2d(x, counts):
    out = np.zeros((*x.shape[:2], *counts))
    for i, rows in enumerate(bins(x.shape[2], counts[0])):
        for j, columns in enumerate(bins(x.shape[3], counts[1])):
            for image, channel in np.ndindex(*x.shape[:2]):
                values = [float(x[image, channel, row, column]) for row in rows for column in columns]
                out[image, channel, i, j] = sum(values) / len(values)
    return out


def adaptive_avg_pool2d_grad(g, x_shape):
    out = np.zeros(x_shape)
    for i, rows in enumerate(bins(x_shape[2], g.shape[2])):
        for j, columns in enumerate(bins(x_shape[3], g.shape[3])):
            for image, channel in np.ndindex(*x_shape[:2]):
                for row in rows:
                    for column in columns:
                        out[image, channel, row, column] += float(g[image, channel, i, j]) / (len(rows) * len(columns))
    return out
