"""The split into training and test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.data.sources import columns

Array = np.ndarray[Any, np.dtype[Any]]


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
    both = columns("train_test_split", (x, y))
    examples = len(both[0])
    tests = math.ceil(test_size * examples) if isinstance(test_size, float) else test_size
    if not 0 < tests < examples:
        raise ValueError(f"train_test_split: test_size = {test_size} leaves an empty part of {examples} examples")
    order = (tg.default_rng() if rng is None else np.random.default_rng(rng)).permutation(examples)
    (x_train, x_test), (y_train, y_test) = ((column[order[tests:]], column[order[:tests]]) for column in both)
    return x_train, x_test, y_train, y_test
