"""What data may look like: arrays, sequences of examples, data sets of others. All are read in batches of numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.data.images import ImageSet

Array = np.ndarray[Any, np.dtype[Any]]
Reader = Callable[[Array], tuple[Array, ...]]  # the numbers of examples -> one array for each of their fields


def reader(owner: str, data: Any) -> tuple[int, Reader]:
    """How many examples there are, and the function that reads some of them."""
    if isinstance(data, (np.ndarray, tg.Tensor)):
        data = (data,)
    if isinstance(data, tuple):
        arrays = columns(owner, data)
        return len(arrays[0]), lambda chosen: tuple(array[chosen] for array in arrays)
    if isinstance(data, Mapping) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        hint = "; give the arrays of a dict as a tuple" if isinstance(data, Mapping) else ""
        raise TypeError(
            f"{owner}: data must be a tuple of arrays or a sequence of examples, got {type(data).__name__}{hint}"
        )
    size = len(data)
    return size, _sequence_reader(owner, data) if size else lambda chosen: ()


def columns(owner: str, arrays: Sequence[Any]) -> tuple[Array, ...]:
    """Arrays of equal length. One that lies in a file (np.memmap) stays there."""
    if arrays and all(isinstance(a, tuple) and a and isinstance(a[0], (np.ndarray, tg.Tensor)) for a in arrays):
        raise TypeError(
            f"{owner}: data must be one pair (x, y), got {len(arrays)} tuples of arrays; "
            "unpack them first: train, test = nn.data.mnist_mini()"
        )
    found = tuple(np.asarray(array) for array in arrays)
    if not found or any(column.ndim == 0 for column in found) or len({len(column) for column in found}) != 1:
        shapes = " and ".join(str(column.shape) for column in found) or "none"
        raise tg.ShapeError(f"{owner}: the arrays must have the same length, got {shapes}")
    return found


def _sequence_reader(owner: str, data: Any) -> Reader:
    """Of a sequence of examples: all of a batch at once if the sequence can do that, else one by one."""
    if isinstance(data, ImageSet):
        return lambda chosen: data[chosen]
    if isinstance(data[0], Mapping) and _takes_lists(data):

        def read_together(chosen: Array) -> tuple[Array, ...]:
            return tuple(_stacked(owner, name, values) for name, values in data[chosen.tolist()].items())

        return read_together

    def read(chosen: Array) -> tuple[Array, ...]:
        examples = [_fields(data[i]) for i in chosen.tolist()]
        if len(counts := {len(example) for example in examples}) > 1:
            raise tg.ShapeError(
                f"{owner}: the examples of a batch have {' and '.join(map(str, sorted(counts)))} fields"
            )
        return tuple(_stacked(owner, i, values) for i, values in enumerate(zip(*examples)))

    return read


def _takes_lists(data: Any) -> bool:
    """Whether data[[0]] is a dict of lists with one entry, as in Hugging Face's data sets."""
    try:
        found = data[[0]]
    except (TypeError, KeyError, IndexError, ValueError):
        return False
    return isinstance(found, Mapping) and all(
        hasattr(values, "__len__") and len(values) == 1 for values in found.values()
    )


def _fields(example: Any) -> tuple[Any, ...]:
    if isinstance(example, Mapping):
        return tuple(example.values())
    return tuple(example) if isinstance(example, (tuple, list)) else (example,)


def _stacked(owner: str, field: object, values: Iterable[Any]) -> Array:
    arrays = [_array(value) for value in values]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise tg.ShapeError(
            f"{owner}: field {field!r} of the examples has the shapes {' and '.join(map(str, sorted(shapes)))}; "
            "examples of one batch must have one shape"
        )
    return np.stack(arrays)


def _array(value: Any) -> Array:
    """A field of an example. A picture of Pillow: (C, H, W), float32 in [0, 1], C = 1 if it is grey, else 3."""
    pillow = sys.modules.get("PIL.Image")  # who gives one has imported it
    if pillow is None or not isinstance(value, pillow.Image):
        return np.asarray(value)
    picture = value if value.mode in ("L", "RGB") else value.convert("L" if value.mode in ("1", "LA") else "RGB")
    pixels = np.atleast_3d(np.asarray(picture, np.float32)) / 255
    return pixels.transpose(2, 0, 1)  # (H, W, C) -> (C, H, W)
