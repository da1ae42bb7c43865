"""Batches of examples, shuffled if wished, and the split into training and test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import count

Array = np.ndarray[Any, np.dtype[Any]]


class DataLoader:
    """Goes through data in batches, in a new order each time if shuffled.

    Arguments:
        data: a tuple of arrays of equal length, such as (x, y); or any sequence of examples, each a tuple such as
            (image, label).
        batch_size: the number of examples in a batch. The last batch is smaller if it does not divide; drop_last leaves
            that one out.
        shuffle: draw the order anew for each pass, every example once. rng: where the order comes from, a generator or
            a seed; the library's own generator if None.
        transform: a function of the batch's x, such as an augmentation, whose result is yielded in its place.

    Yields:
        One tuple a batch, such as (x, y) with x (batch_size, ...) and y (batch_size,), of NumPy arrays.

    Raises:
        ShapeError: the arrays differ in length. TypeError, ValueError: an argument is impossible, there are no data.

    Example:
        >>> import nn, numpy as np
        >>> loader = nn.data.DataLoader((np.arange(5), np.arange(5) ** 2), batch_size=2)
        >>> [y.tolist() for x, y in loader]
        [[0, 1], [4, 9], [16]]
    """

    def __init__(
        self,
        data: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        rng: np.random.Generator | int | None = None,
        drop_last: bool = False,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.columns = _columns("DataLoader", data) if isinstance(data, tuple) else None
        if self.columns is None and not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
            raise TypeError(
                f"DataLoader: data must be a tuple of arrays or a sequence of examples, got {type(data).__name__}"
            )
        self.data: Any = data
        if isinstance(batch_size, (np.ndarray, tg.Tensor, list, tuple)):
            raise TypeError(
                f"DataLoader: batch_size must be an integer, got {type(batch_size).__name__}; "
                "give arrays that belong together as one tuple, DataLoader((x, y))"
            )
        self.batch_size = count(self, "batch_size", batch_size)
        self.shuffle = shuffle
        self.rng = None if rng is None else np.random.default_rng(rng)
        self.drop_last = drop_last
        self.transform = transform
        if not self._examples:
            raise ValueError("DataLoader: the data are empty")
        if drop_last and batch_size > self._examples:
            raise ValueError(
                f"DataLoader: batch_size = {batch_size} with drop_last leaves no batch of {self._examples} examples"
            )

    @property
    def _examples(self) -> int:
        return len(self.data) if self.columns is None else len(self.columns[0])

    def __len__(self) -> int:
        """The number of batches."""
        return self._examples // self.batch_size if self.drop_last else math.ceil(self._examples / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        order = np.arange(self._examples)
        if self.shuffle:
            (self.rng or tg.default_rng()).shuffle(order)
        for i in range(len(self)):
            batch = self._batch(order[i * self.batch_size : (i + 1) * self.batch_size])
            yield batch if self.transform is None else (self.transform(batch[0]), *batch[1:])

    def _batch(self, chosen: Array) -> tuple[Array, ...]:
        if self.columns is not None:
            return tuple(column[chosen] for column in self.columns)
        examples = [self.data[int(i)] for i in chosen]
        return tuple(np.stack([np.asarray(value) for value in values]) for values in zip(*examples, strict=True))


def train_test_split(
    x: Any, y: Any, test_size: float = 0.25, rng: np.random.Generator | int | None = None
) -> tuple[Array, Array, Array, Array]:
    """Deal examples into two parts at random.

    Arguments:
        x, y: arrays of equal length. test_size: a share between 0 and 1, rounded up to whole examples; or a number of
            examples. rng: a generator or a seed; the library's own generator if None.

    Returns:
        x_train, x_test, y_train, y_test, copies.

    Raises:
        ShapeError: x and y differ in length. ValueError: a part would be empty.

    Example:
        >>> import nn, numpy as np
        >>> x_train, x_test, y_train, y_test = nn.data.train_test_split(np.eye(10), np.arange(10), test_size=0.2, rng=0)
        >>> x_train.shape, y_test.shape
        ((8, 10), (2,))

    Source: scikit-learn's train_test_split, for the order of the results.
    """
    columns = _columns("train_test_split", (x, y))
    examples = len(columns[0])
    tests = math.ceil(test_size * examples) if isinstance(test_size, float) else test_size
    if not 0 < tests < examples:
        raise ValueError(f"train_test_split: test_size = {test_size} leaves an empty part of {examples} examples")
    order = (tg.default_rng() if rng is None else np.random.default_rng(rng)).permutation(examples)
    (x_train, x_test), (y_train, y_test) = ((column[order[tests:]], column[order[:tests]]) for column in columns)
    return x_train, x_test, y_train, y_test


def _columns(owner: str, arrays: Sequence[Any]) -> tuple[Array, ...]:
    columns = tuple(np.asarray(array) for array in arrays)
    if not columns or any(column.ndim == 0 for column in columns) or len({len(column) for column in columns}) != 1:
        shapes = " and ".join(str(column.shape) for column in columns) or "none"
        raise tg.ShapeError(f"{owner}: the arrays must have the same length, got {shapes}")
    return columns
