"""Numbers and arrays in the text of a worked example: as many digits as its figures have, the entries aligned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SMALL = 36  # elements: a larger array is shown as its shape
LONG = 8  # elements of a vector in one line


def is_small(array: Any) -> bool:
    """Whether an array is shown in full."""
    return bool(np.size(array) <= SMALL)


def number(value: Any, digits: int = 6) -> str:
    """A number without superfluous zeros: so many digits after the point, of small numbers so many that count.

    Example:
        >>> [number(x) for x in (2.0, 0.7310585786, -1.2213283, 0.000438568, 1e-12, float("nan"))]
        ['2', '0.731059', '-1.221328', '0.000438568', '1e-12', 'nan']
    """
    return _written(np.asarray(value), digits)[0]


def matrices(array: Any, digits: int = 6) -> list[list[list[str]]]:
    """An array with axes as matrices of texts, all with the same digits after the point; a vector is one row."""
    texts = _written(array, digits)
    height, columns = (1, *array.shape)[-2:]
    lines = [texts[i : i + columns] for i in range(0, len(texts), columns)]
    return [lines[i : i + height] for i in range(0, len(lines), height)]


def rows(array: Any, digits: int = 6) -> list[str]:
    """The lines of an array as a matrix is written, several matrices side by side.

    Example:
        >>> import numpy as np
        >>> print(*rows(np.array([[1.0, -0.5], [0.0, 2.25]])), sep="\\n")
        [1.00 -0.50]
        [   0  2.25]
    """
    if not array.size:
        return [f"empty {array.shape}"]
    if not array.ndim:
        return _written(array, digits)
    blocks = []
    found = matrices(array, digits)
    if len(found) == len(found[0]) == 1:
        return _wrapped(found[0][0])
    for matrix in found:
        widths = [max(map(len, column)) for column in zip(*matrix, strict=True)]
        lines = [" ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in matrix]
        blocks.append([f"[{line}]" for line in lines])
    return ["  ".join(lines) for lines in zip(*blocks, strict=True)]


def _wrapped(row: list[str]) -> list[str]:
    """A vector in brackets; a long one goes on in further lines."""
    if len(row) <= LONG:
        return [f"[{' '.join(row)}]"]
    width = max(map(len, row))
    cells = [text.rjust(width) for text in row]
    lines = [f" {' '.join(cells[i : i + LONG])} " for i in range(0, len(cells), LONG)]
    lines = [line.ljust(len(lines[0])) for line in lines]
    return [f"[{lines[0][1:]}", *lines[1:-1], f"{lines[-1].rstrip()}]"]


def _written(array: Any, digits: int) -> list[str]:
    """Every element, all with the same digits after the point."""
    values = array.ravel().tolist()
    if array.dtype.kind != "f":
        return [str(int(value)) for value in values]
    exact = {2: 3, 4: 7}.get(array.dtype.itemsize, digits + 4)  # digits that mean something in its type
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    magnitude = math.floor(math.log10(largest)) if largest else 0
    if not -6 <= magnitude < 10:
        return [_scientific(value, min(digits, exact)) for value in values]
    decimals = max(0, min(digits if magnitude >= -2 else digits - 1 - magnitude, exact - 1 - magnitude))
    texts = [f"{round(value, decimals) + 0.0:.{decimals}f}" if value else "0" for value in values]  # + 0.0: no -0.00
    zeros = min((len(text) - len(text.rstrip("0")) for text in texts if "." in text), default=0)
    return [text[: len(text) - zeros].rstrip(".") if "." in text else text for text in texts]


def _scientific(value: float, digits: int) -> str:
    """1.5e-07 as 1.5e-7."""
    if not value or not math.isfinite(value):
        return f"{value + 0.0:g}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
