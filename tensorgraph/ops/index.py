"""Indexing. Reading takes values, the gradient puts them back: a value read twice gets the sum of both gradients."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tensorgraph._constant import constant
from tensorgraph._context import located
from tensorgraph._primitive import primitive
from tensorgraph._tape import Array, Traced
from tensorgraph.errors import ShapeError
from tensorgraph.ops.shape import reshape


@primitive(gate="wire")
def getitem(x: Array, /, index: Any) -> Array:
    """x[index] with NumPy's rules: numbers, slices, None, Ellipsis, and arrays of integers or bools.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> x[[0, 0, 2]].sum().backward()
        >>> x.grad
        tensor([2., 0., 1.])
    """
    try:
        return x[index]
    except IndexError as error:
        raise IndexError(f"{error}, x has shape {x.shape}") from None


getitem.vjp(x=lambda g, out, x, index: put(g, index=index, shape=x.shape))


@primitive(gate="wire")
def put(values: Array, /, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of the given shape with the values added at the index: the adjoint of `getitem`."""
    out = np.zeros(shape, values.dtype)
    if _selects_once(index):
        out[index] = values
    else:
        np.add.at(out, index, values)
    return out


put.vjp(values=lambda g, out, values, index, shape: getitem(g, index=index))


def _selects_once(index: Any) -> bool:
    """Whether no element can be selected twice: only arrays of integers can do that."""
    return not any(isinstance(i, np.ndarray) and i.dtype != bool for i in _as_tuple(index))


def _as_tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def plain_index(index: Any) -> Any:
    """The index with tensors and lists turned into arrays of its own, which nobody can change later."""
    if isinstance(index, tuple):
        return tuple(plain_index(i) for i in index)
    if isinstance(index, slice):
        return slice(*map(_plain_bound, (index.start, index.stop, index.step)))
    if isinstance(index, Traced):
        index = index._array
    if isinstance(index, (list, np.ndarray)):
        try:
            index = np.array(index)
        except ValueError:
            raise located(IndexError, "getitem", f"an index list must be regular, got {index}") from None
        if index.size == 0 and index.dtype.kind == "f":
            index = index.astype(np.int64)  # an empty list
        if index.dtype.kind not in "biu":
            raise located(IndexError, "getitem", f"an index array must hold integers or bools, got {index.dtype}")
    return index


def _plain_bound(bound: Any) -> int | None:
    try:
        return None if bound is None else operator.index(bound)
    except TypeError:
        raise located(TypeError, "getitem", f"a slice needs whole numbers, got {bound!r}") from None


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements of x at the indices along the axis, of the flattened array if axis is None, as `numpy.take`.

    Arguments:
        x: array. indices: integers, any shape.

    Raises:
        IndexError: an index is out of range.

    Example:
        >>> import tensorgraph as tg
        >>> tg.take(tg.tensor([10.0, 20.0, 30.0]), [2, 0])
        tensor([30., 10.])
    """
    x = x if isinstance(x, Traced) else np.asarray(x)
    if axis is None:
        x, axis = reshape(x, shape=(-1,)), 0
    if not -x.ndim <= axis < x.ndim:
        raise located(np.exceptions.AxisError, "take", f"axis {axis} is out of bounds for {x.ndim} axes")
    indices = plain_index([*indices] if isinstance(indices, tuple) else indices)
    if np.asarray(indices).dtype.kind not in "iu":
        raise located(IndexError, "take", f"indices must be whole numbers, got {np.asarray(indices).dtype}")
    return getitem(x, index=(slice(None),) * (axis % x.ndim) + (indices,))


@constant
def one_hot(labels: Array, num_classes: int | None = None) -> Array:
    """A row of zeros with a 1 at the label, for each label (float32, a new last axis).

    Arguments:
        labels: whole numbers >= 0. num_classes: the length of a row; the largest label + 1 if None.

    Raises:
        TypeError: the labels are not integers. ShapeError: a label is out of range.

    Example:
        >>> import tensorgraph as tg
        >>> tg.one_hot(tg.tensor([0, 2]), 3)
        tensor([[1., 0., 0.],
                [0., 0., 1.]])
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f'labels must be integers, got {labels.dtype}; convert them with labels.astype("int64")')
    if num_classes is not None and not isinstance(num_classes, (int, np.integer)):
        raise TypeError(f"num_classes must be a whole number, got {num_classes}")
    if num_classes is None:
        num_classes = int(labels.max()) + 1 if labels.size else 0
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ShapeError(f"labels must lie in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}")
    return (labels[..., None] == np.arange(num_classes)).astype(np.float32)
