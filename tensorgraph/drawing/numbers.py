"""How values and gradients are written: small arrays in full with aligned digits, large ones as statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SMALL = 16  # elements of an array that is written in full
_TALL = 8  # its rows
_WIDE = 5  # elements of a vector that is written in one line
_WIDTH = 3  # elements in a line of a longer one, which has at most _LONG
_LONG = 10
_DIGITS = 4  # significant ones of the largest element of an array


def number(x: Any) -> str:
    """One number in six digits, a whole one in all: 1.0, 0.731059, -2.5e-07, nan."""
    x = x.item() if isinstance(x, np.generic) else x
    if not isinstance(x, float):
        return str(x)
    exact = abs(x) < 1e15 and x == int(x)
    text = f"{x + 0.0:.0f}" if exact else f"{x:.6g}"  # + 0.0: no minus zero
    return text if set(text) & set(".en") else text + ".0"


def brief(x: float) -> str:
    """One number in three digits, for statistics: 0.0123, 12.3, 1.2e-5."""
    text = f"{x + 0.0:.3g}"
    if abs(x) < 1e-3 and x:
        text = f"{x:.1e}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def shape(array: Array) -> str:
    """6×1×5×5."""
    return "×".join(map(str, array.shape)) or "scalar"


def is_small(array: Array) -> bool:
    """Whether it is written in full."""
    if array.ndim == 0:
        return True
    if _is_row(array):
        return 0 < array.size <= _LONG
    return 0 < array.size <= SMALL and array.size // array.shape[-1] <= _TALL


def _is_row(array: Array) -> bool:
    """Whether it is a vector, perhaps with other axes of size 1 before it."""
    return array.shape[-1] == array.size


def lines(array: Array) -> list[str]:
    """What is written about an array, in lines of a font with equal widths."""
    if array.ndim == 0:
        return [number(array[()])]
    return rows(array) if is_small(array) else statistics(array)


def rows(array: Array) -> list[str]:
    """A small array, a line for each of its rows; the digits stand below each other."""
    flat = [x.item() for x in array.ravel()]
    cells = _aligned(flat) if array.dtype.kind == "f" else [str(x) for x in flat]
    width = max(map(len, cells))
    cells = [cell.rjust(width) for cell in cells]
    if _is_row(array) and len(cells) > _WIDE:  # as NumPy breaks it
        broken = [" ".join(cells[i : i + _WIDTH]) for i in range(0, len(cells), _WIDTH)]
        return [f"{'[' if i == 0 else ' '}{line}" for i, line in enumerate(broken[:-1])] + [f" {broken[-1]}]"]
    columns = array.shape[-1]
    return ["[" + " ".join(cells[i : i + columns]) + "]" for i in range(0, len(cells), columns)]


def _aligned(numbers: list[float]) -> list[str]:
    """The same number of decimals for all, so many as the largest needs, without zeros that all of them end with."""
    finite = [x for x in numbers if np.isfinite(x)]
    largest = max(map(abs, finite), default=0.0)
    if largest and not 1e-4 <= largest < 1e6:
        return [f"{x + 0.0:.{_DIGITS - 1}e}" for x in numbers]
    before = math.floor(math.log10(largest)) if largest else 0  # digits before the point, less one
    decimals = max(1, _DIGITS - max(0, before) if before >= -1 else _DIGITS - 1 - before)
    texts = [f"{round(x, decimals) + 0.0:.{decimals}f}" for x in numbers]
    ended = [text for text, x in zip(texts, numbers, strict=True) if np.isfinite(x)]
    spare = min((len(text) - len(text.rstrip("0")) for text in ended), default=0)
    spare = min(spare, decimals - 1)
    return [text[: len(text) - spare] if text in ended and spare else text for text in texts]


def statistics(array: Array) -> list[str]:
    """A large array: its extremes, mean and norm, and how many elements are not finite."""
    return [f"{name:4} {text}" if name else text for name, text in _facts(array)]


def in_line(array: Array) -> str:
    """What is written about an array in one line."""
    if array.ndim and not is_small(array):
        return " ".join([shape(array), *(f"{name} {text}".strip() for name, text in _facts(array))])
    return " ".join(" ".join(lines(array)).split()).replace("[ ", "[")


def _facts(array: Array) -> list[tuple[str, str]]:
    """(name, number) of the statistics; those of an array that has none are a word without a name."""
    if not array.size:
        return [("", "empty")]
    if array.dtype.kind not in "fiub":
        return [("", str(array.dtype))]
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum(dtype=np.float64)):
            finite, faults = array, []
        else:
            finite = array[np.isfinite(array)]
            nans = int(np.isnan(array).sum())
            counts = {"nan": nans, "inf": array.size - finite.size - nans}
            faults = [("", f"{count:,} {what}") for what, count in counts.items() if count]
        if not finite.size:
            return faults
        found = {
            "min": finite.min(),
            "mean": finite.mean(dtype=np.float64),
            "max": finite.max(),
            "norm": norm([finite]),
        }
    return [*faults, *((name, brief(float(x))) for name, x in found.items())]


def norm(arrays: Iterable[Array]) -> float:
    """The square root of the sum of all squares."""
    return math.sqrt(sum(_squares(array) for array in arrays))


def _squares(array: Array) -> float:
    """The sum of the squares; in the array's own type where that can hold it, for this is what takes time."""
    flat = array.ravel()
    with np.errstate(all="ignore"):
        quick = float(np.vdot(flat, flat)) if flat.dtype.kind == "f" and flat.dtype.itemsize >= 4 else math.inf
        if 1e-30 < quick < math.inf:
            return quick
        wide = flat.astype(np.float64)
        return float(wide @ wide)
