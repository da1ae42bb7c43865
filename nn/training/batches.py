"""What goes into a training: batches and their parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.data import DataLoader


def batches(data: Any, batch_size: int, *, shuffle: bool = False) -> Any:
    """What gives the batches: data that are no loader are put into one."""
    if isinstance(data, (np.ndarray, tg.Tensor)):
        raise TypeError(
            f"Trainer: data must be inputs and targets in one tuple, (x, y), a data set or a DataLoader; "
            f"got an array of shape {data.shape} alone"
        )
    if hasattr(data, "__getitem__"):  # a tuple of arrays or a data set; what can only be gone through gives batches
        return DataLoader(data, batch_size, shuffle)
    return data


def parts(batch: Any) -> tuple[Sequence[Any], Any]:
    """The inputs and the target."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        got = f"one of {len(batch)} parts" if hasattr(batch, "__len__") else type(batch).__name__
        raise TypeError(f"Trainer: a batch must have inputs and targets, (x, y); got {got}")
    return batch[:-1], batch[-1]


def counted(batch: Any) -> tuple[int, str]:
    """How many of what."""
    return len(batch[-1]), "images" if np.ndim(batch[0]) == 4 else "examples"


def finite(arrays: Iterable[Any]) -> bool:
    """Whether all numbers are finite; anything but floats is."""
    with np.errstate(all="ignore"):
        for values in arrays:
            array = values.data if isinstance(values, tg.Tensor) else np.asarray(values)
            if array.dtype.kind != "f" or math.isfinite(np.vdot(array, array)):  # quick, but it may overflow
                continue
            if not np.isfinite(array).all():
                return False
    return True
