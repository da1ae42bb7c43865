"""IDX, the format of MNIST's files: 2 zeros, a type, a number of axes, the length of each, the elements.

Source: the description on the page of MNIST, http://yann.lecun.com/exdb/mnist.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nn.data.unpack import Content

Array = np.ndarray[Any, np.dtype[Any]]
_BYTES = 0x800  # the type uint8; the number of axes is added


def read_idx(path: str, item: tuple[int, ...], most: int) -> Array:
    """The array in an IDX file of bytes, compressed by gzip or not.

    Arguments:
        item: the shape that an item must have. most: so many items at most.

    Returns:
        (N, *item), uint8.

    Raises:
        FileFormatError: the file is anything else.
    """
    head, size = 4 * (2 + len(item)), math.prod(item)
    with open(path, "rb") as file:
        content = Content(file, head + most * size)
        magic, n, *found = np.frombuffer(content.read(head), ">u4").tolist()
        if magic != _BYTES + 1 + len(item):
            raise content.error(f"it does not begin like an IDX file of bytes with {1 + len(item)} axes")
        if tuple(found) != item:
            raise content.error(f"its items have the shape {tuple(found)}, expected {item}")
        if not 1 <= n <= most:
            raise content.error(f"its header says {n:,} items, expected 1 to {most:,}")
        content.expect(head + n * size)
        array = np.empty((n, *item), np.uint8)
        content.fill(array)
        content.finish()
    return array


def idx_header(shape: tuple[int, ...]) -> bytes:
    """How an IDX file of bytes begins that has an array of this shape."""
    return np.array([_BYTES + len(shape), *shape], ">u4").tobytes()
