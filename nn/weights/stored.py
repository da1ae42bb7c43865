"""An array that lies in a file: its type and shape are known and checked, its values are read when they are wanted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nn.serialization import MAX_AXES, MOST_ELEMENTS, Array, DamageError


class Stored(NamedTuple):
    """What a file says of an array, and how to read it."""

    dtype: np.dtype[Any]  # as `nn.serialization.BFLOAT16` where it is read as float32
    shape: tuple[int, ...]
    read: Callable[[], Array]

    @property
    def kind(self) -> str:
        """The letter of its NumPy type when it has been read: "f", "i", "u" or "b"."""
        return "f" if self.dtype.kind == "V" else self.dtype.kind


def checked_shape(name: str, shape: Any) -> tuple[int, ...]:
    """A shape from a file, if an array can have it."""
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > MAX_AXES:
        raise DamageError(f"{name} has no shape that an array can have")
    if math.prod(max(n, 1) for n in shape) > MOST_ELEMENTS:  # a 0 among the sizes could hide it
        raise DamageError(f"{name} of shape {shape} is too large")
    return shape
