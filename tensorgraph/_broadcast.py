"""Broadcasting and its undoing, each the other's gradient. Nothing else here sums gradients back to a shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph._primitive import primitive
from tensorgraph._tape import Array
from tensorgraph.errors import ShapeError


@primitive(gate="copy")
def broadcast_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """Repeat x along new or size-1 axes until it has the shape, as `numpy.broadcast_to`.

    Arguments:
        x: array of any shape that broadcasts.
        shape: the shape of the result.

    Returns:
        An array of that shape. Its gradient is summed over the repeated axes (the copy gate).

    Raises:
        ShapeError: x does not broadcast to the shape.

    Example:
        >>> import tensorgraph as tg
        >>> tg.broadcast_to(tg.tensor([1.0, 2.0]), (2, 2))
        tensor([[1., 2.],
                [1., 2.]])
    """
    try:
        return np.broadcast_to(x, shape)
    except ValueError:
        raise ShapeError(f"x of shape {np.shape(x)} does not broadcast to {shape}") from None


broadcast_to.vjp(x=lambda g, out, x, shape: sum_to(g, shape=x.shape))


@primitive(gate="add")
def sum_to(x: Array, /, shape: tuple[int, ...]) -> Array:
    """Sum x over the axes along which the shape was broadcast to x's: the adjoint of `broadcast_to`."""
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(i for i, size in enumerate(shape, start=lead) if size == 1 and x.shape[i] != 1)
    summed: Any = x.sum(axis=axes, keepdims=True) if axes else x
    return summed.reshape(shape)


sum_to.vjp(x=lambda g, out, x, shape: broadcast_to(g, shape=x.shape))
