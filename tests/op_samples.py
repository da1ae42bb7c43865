"""How the rows of op_table.py are written: sample arrays away from kinks, and references that look at every number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    name: str
    reference: Callable[..., Any]
    samples: list[tuple[tuple[Any, ...], dict[str, Any]]]
    special: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = []  # noqa: RUF012 (never changed)


rng = np.random.default_rng(20)


def real(*shape: int) -> Any:
    """Numbers of both signs, at least 0.2 away from 0 and below 2."""
    return np.asarray(rng.uniform(0.2, 1.8, shape) * rng.choice([-1.0, 1.0], shape))


def positive(*shape: int) -> Any:
    return np.asarray(rng.uniform(0.2, 1.8, shape))


def distinct(*shape: int) -> Any:
    """Numbers that differ by at least 0.1, in random order: no ties, and no maximum that a small step would move."""
    size = math.prod(shape)
    return rng.permutation(size).reshape(shape) * 0.1 - size * 0.05 + 0.03


def unary(*arrays: Any) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    return [((array,), {}) for array in arrays]


def smooth(name: str, reference: Callable[..., Any], sample: Callable[..., Any], *special: tuple[float, float]) -> Row:
    """An element-wise function of one array; special values as (x, f(x))."""
    values = [((np.array(x),), {}, np.array(y)) for x, y in special]
    return Row(name, reference, unary(sample(2, 3), sample(), sample(1, 4, 1)), values)


def pairs(x: Callable[..., Any], y: Callable[..., Any]) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Two arrays of the same shape, and three ways to broadcast."""
    shapes = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 2))]
    return [((x(*a), y(*b)), {}) for a, b in shapes]


def reductions(sample: Callable[..., Any], *, axes: tuple[Any, ...] = (None, 0, -1, (0, 2))) -> list[Any]:
    return [((sample(2, 3, 2),), {"axis": axis, "keepdims": keep}) for axis in axes for keep in (False, True)]


def loop(function: Callable[..., float]) -> Callable[..., Any]:
    """A function of numbers from Python's math, element by element."""
    return np.vectorize(function, otypes=[float])


def reduce_with(function: Callable[[list[float]], float]) -> Callable[..., Any]:
    """A reduction that collects the numbers of each group in a list."""

    def reference(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis) % x.ndim)
        out = np.zeros([1 if i in axes else size for i, size in enumerate(x.shape)])
        for place in np.ndindex(out.shape):
            out[place] = function(
                x[tuple(slice(None) if i in axes else k for i, k in enumerate(place))].ravel().tolist()
            )
        return out if keepdims else out.squeeze(axes)

    return reference


def along(function: Callable[[list[float]], list[float]]) -> Callable[..., Any]:
    return lambda x, axis=-1: np.apply_along_axis(lambda row: np.array(function(row.tolist())), axis, x)
