"""An array that lies in a file: its type and shape are known and checked, its values are read when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nn.serialization import Array


class Stored(NamedTuple):
    """What a file says of an array, and how to read it."""

    dtype: np.dtype[Any]  # as `nn.serialization.BFLOAT16` where it is read as float32
    shape: tuple[int, ...]
    read: Callable[[], Array]

    @property
    def kind(self) -> str:
        """The letter of its NumPy type when it has been read: "f", "i", "u" or "b"."""
        return "f" if self.dtype.kind == "V" else self.dtype.kind
