"""Heat maps of images, filters and feature maps, in so few cells that a picture can hold many of them.

White is zero. The scale is that of the whole array: the largest magnitude has the full colour. Values are green above
zero and purple below it, gradients orange and blue: pairs that colour-blind readers tell apart, and that print as grey.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_MAPS = 4  # of an array that holds more
_ONE = 14  # cells along an axis of a map that stands alone
_MANY = 9  # of one that does not
_LEVELS = 8  # shades of a colour
VALUES = (118, 42, 131), (0, 104, 55)  # purple, green: the darkest shades of below and above zero
GRADS = (5, 66, 130), (179, 60, 0)  # blue, orange
_NAN = "#F0E442"


def maps(array: Array) -> list[Array]:
    """The maps of an array that are shown, each (rows, columns): of the first image, of the first filters."""
    if array.dtype.kind not in "fiub" or not array.size:
        return []
    if array.ndim == 4:
        array = array[0] if array.shape[0] == 1 or array.shape[1] > array.shape[0] else array[:, 0]
    if array.ndim == 3:
        shown = list(array[:_MAPS])
    elif array.ndim == 2:
        shown = [array]
    else:
        return []
    return [_smaller(one, _ONE if len(shown) == 1 else _MANY) for one in shown] if min(shown[0].shape) > 2 else []


def _smaller(array: Array, most: int) -> Array:
    """The means of so many blocks that no axis has more than `most` of them."""
    array = array.astype(np.float64)
    for axis in (0, 1):
        size = array.shape[axis]
        if size > most:
            starts = np.arange(most) * size // most
            counts = np.diff([*starts, size])
            with np.errstate(invalid="ignore", over="ignore"):
                array = np.add.reduceat(array, starts, axis=axis) / (counts[:, None] if axis == 0 else counts)
    return array


def colours(shown: list[Array], ends: tuple[tuple[int, int, int], tuple[int, int, int]]) -> list[list[list[str]]]:
    """For each map its rows of colours."""
    finite = np.concatenate([np.abs(one[np.isfinite(one)]) for one in shown])
    top = float(finite.max()) if finite.size else 0.0
    return [[[_colour(x, top, ends) for x in row] for row in one.tolist()] for one in shown]


def _colour(x: float, top: float, ends: tuple[tuple[int, int, int], tuple[int, int, int]]) -> str:
    if x != x:
        return _NAN
    share = 1.0 if abs(x) == np.inf else round(_LEVELS * min(1.0, abs(x) / top)) / _LEVELS if top else 0.0
    return "#" + "".join(f"{round(255 + share * (end - 255)):02X}" for end in ends[x > 0])
