"""In which type arrays of several types meet, as in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

_RANK = {"b": 0, "i": 1, "u": 1, "f": 2}  # bools, integers, floats


def promote(values: list[Any]) -> np.dtype[Any]:
    """The type in which arrays of several types meet, by the rules that `Elementwise` states."""
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    wide = _common([array.dtype for array in arrays if array.ndim])
    zero = _common([array.dtype for array in arrays if not array.ndim])
    if wide is None or (zero is not None and _RANK[zero.kind] > _RANK[wide.kind]):
        wide = zero
    assert wide is not None  # called with at least one array
    return wide


def _common(dtypes: list[np.dtype[Any]]) -> np.dtype[Any] | None:
    """NumPy's common type of those of the highest kind: integers do not widen floats."""
    if not dtypes:
        return None
    highest = max(_RANK[dtype.kind] for dtype in dtypes)
    return np.result_type(*(dtype for dtype in dtypes if _RANK[dtype.kind] == highest))
