"""Operations that move values around without changing them: the wire gate. The gradient goes back the same way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tensorgraph._context import located
from tensorgraph._dtypes import promote
from tensorgraph._primitive import elementwise, primitive
from tensorgraph._tape import Array, Traced
from tensorgraph.errors import ShapeError
from tensorgraph.ops._checks import operand

Shape = int | tuple[int, ...]


@elementwise(gate="wire")
def copy(x: Array, /) -> Array:
    """The same values in memory of their own."""
    return np.array(x)


copy.vjp(x=lambda g, out, x: g)


@primitive(gate="wire")
def reshape(x: Array, /, shape: Shape) -> Array:
    """The same elements, in the order of the last axis first, in another shape.

    Arguments:
        shape: the new sizes; one of them may be -1 and is worked out.

    Raises:
        ShapeError: the sizes do not multiply to the number of elements.

    Example:
        >>> import tensorgraph as tg
        >>> tg.reshape(tg.arange(4), (2, -1))
        tensor([[0, 1],
                [2, 3]])
    """
    try:
        return np.asarray(x).reshape(shape)
    except ValueError:
        raise ShapeError(
            f"x of shape {np.shape(x)} has {np.size(x)} elements, which do not fill shape {shape}"
        ) from None


reshape.vjp(x=lambda g, out, x, shape: reshape(g, shape=x.shape))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """One axis in place of several: a reshape.

    Arguments:
        start_dim, end_dim: the first and the last axis to join; negative ones count from the end.

    Raises:
        ShapeError: x has no such axes.

    Example:
        >>> import tensorgraph as tg
        >>> tg.flatten(tg.zeros(32, 16, 4, 4), 1).shape
        (32, 256)

    Source: PyTorch's torch.flatten.
    """
    return reshape(x, shape=flattened(np.shape(x._array if isinstance(x, Traced) else x), start_dim, end_dim))


@lru_cache(typed=True)  # a network asks for the same ones again and again
def flattened(shape: tuple[int, ...], start_dim: int, end_dim: int) -> tuple[int, ...]:
    """What `flatten` makes of a shape."""
    ndim = len(shape)
    if ndim == 0 and {start_dim, end_dim} <= {0, -1}:
        return (1,)
    first = start_dim + ndim if start_dim < 0 else start_dim
    last = end_dim + ndim if end_dim < 0 else end_dim
    if not 0 <= first <= last < ndim:
        raise located(ShapeError, "flatten", f"x of shape {shape} has no axes {start_dim} to {end_dim}")
    return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


@primitive(gate="wire")
def transpose(x: Array, /, axes: Sequence[int] | None = None) -> Array:
    """The axes of x in another order, reversed if none is given, as `numpy.transpose`.

    Example:
        >>> import tensorgraph as tg
        >>> tg.transpose(tg.zeros(2, 3, 4), (2, 0, 1)).shape
        (4, 2, 3)
    """
    ndim = np.ndim(x)
    if axes is None:
        return np.transpose(x)
    if not isinstance(axes, (tuple, list)):
        raise TypeError(f"axes must be a sequence of whole numbers, got {axes!r}")
    if sorted(axis % ndim if -ndim <= axis < ndim else axis for axis in axes) != list(range(ndim)):
        fix = "; to exchange two axes use swapaxes" if len(axes) == 2 < ndim else ""
        raise ShapeError(f"axes {tuple(axes)} must name each of the {ndim} axes of x of shape {np.shape(x)} once{fix}")
    return np.transpose(x, axes)


def _transpose_rule(g: Any, out: Any, x: Any, axes: Sequence[int] | None = None) -> Any:
    back = None if axes is None else tuple(int(i) for i in np.argsort([axis % x.ndim for axis in axes]))
    return transpose(g, axes=back)


transpose.vjp(x=_transpose_rule)


def permute(x: Any, *axes: Any) -> Any:
    """`transpose` with PyTorch's name and spelling: permute(x, 2, 0, 1) or permute(x, (2, 0, 1))."""
    return transpose(x, axes=_spelled(axes))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """x with two of its axes exchanged.

    Example:
        >>> import tensorgraph as tg
        >>> tg.swapaxes(tg.zeros(2, 3, 4), 0, -1).shape
        (4, 3, 2)
    """
    ndim = np.ndim(x)
    order = list(range(ndim))
    for axis in (axis1, axis2):
        _check_axis("swapaxes", axis, ndim)
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(x, axes=tuple(order))


@primitive(gate="wire")
def flip(x: Array, /, axis: Shape | None = None) -> Array:
    """x with the order of the elements reversed along the axes, along all of them if axis is None."""
    return np.flip(x, axis)


flip.vjp(x=lambda g, out, x, axis=None: flip(g, axis=axis))


def expand_dims(x: Any, axis: Shape) -> Any:
    """x with new axes of size 1 at the positions `axis` of the result.

    Example:
        >>> import tensorgraph as tg
        >>> tg.expand_dims(tg.zeros(2, 3), 0).shape
        (1, 2, 3)
    """
    new = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    ndim = np.ndim(x) + len(new)
    for i in new:
        _check_axis("expand_dims", i, ndim)
    positions = {i % ndim for i in new}
    if len(positions) != len(new):
        raise located(ShapeError, "expand_dims", f"axis {axis} names an axis twice")
    sizes = iter(np.shape(x))
    return reshape(x, shape=tuple(1 if i in positions else next(sizes) for i in range(ndim)))


def squeeze(x: Any, axis: Shape | None = None) -> Any:
    """x without its axes of size 1, or without the axes named.

    Raises:
        ShapeError: a named axis has another size.

    Example:
        >>> import tensorgraph as tg
        >>> tg.squeeze(tg.zeros(1, 3, 1)).shape
        (3,)
    """
    shape = np.shape(x)
    if axis is None:
        return reshape(x, shape=tuple(size for size in shape if size != 1))
    named = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    for i in named:
        _check_axis("squeeze", i, len(shape))
        if shape[i] != 1:
            raise located(ShapeError, "squeeze", f"axis {i} of x of shape {shape} has size {shape[i]}, not 1")
    gone = {i % len(shape) for i in named}
    return reshape(x, shape=tuple(size for i, size in enumerate(shape) if i not in gone))


# --- padding ---------------------------------------------------------------------------------------------------------


@primitive(gate="wire")
def pad(x: Array, /, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Array:
    """x with a border of a constant around it.

    Arguments:
        pad_width: how many elements before and after: a number, (before, after) for all axes, or one such pair an
            axis, as in `numpy.pad`.
        mode: only "constant".
        constant_values: the number in the border.

    Example:
        >>> import tensorgraph as tg
        >>> tg.pad(tg.tensor([1.0, 2.0]), (1, 2))
        tensor([0., 1., 2., 0., 0.])
    """
    if mode != "constant":
        raise ValueError(f'mode must be "constant", got {mode!r}')
    return np.pad(x, _pad_pairs(x, pad_width), constant_values=constant_values)


def _pad_pairs(x: Any, pad_width: Any) -> list[tuple[int, int]]:
    """(before, after) for every axis."""
    try:
        pairs = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2))
    except ValueError:
        raise ShapeError(f"pad_width {pad_width} does not give (before, after) for x of shape {x.shape}") from None
    if pairs.dtype.kind not in "iu" or (pairs < 0).any():
        raise ValueError(f"pad_width must hold whole numbers >= 0, got {pad_width}")
    return [(int(before), int(after)) for before, after in pairs]


def _pad_rule(g: Any, out: Any, x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
    pairs = _pad_pairs(x, pad_width)
    return g[tuple(slice(before, before + size) for (before, _), size in zip(pairs, x.shape, strict=True))]


pad.vjp(x=_pad_rule)

# --- joining and splitting -------------------------------------------------------------------------------------------


@primitive(gate="wire", name="concatenate")
def _concatenate(*arrays: Array, axis: int = 0) -> Array:
    return np.concatenate(arrays, axis=axis, dtype=promote(list(arrays)))


def _concatenate_rule(i: int, g: Any, out: Any, *arrays: Any, axis: int = 0) -> Any:
    start = sum(array.shape[axis] for array in arrays[:i])
    return g[(slice(None),) * (axis % g.ndim) + (slice(start, start + arrays[i].shape[axis]),)]


_concatenate.vjp(arrays=_concatenate_rule)


def concatenate(arrays: Sequence[Any], axis: int = 0) -> Any:
    """The arrays one after another along an existing axis.

    Arguments:
        arrays: a sequence of arrays whose shapes agree but for the axis.

    Raises:
        ShapeError: there is none, or the shapes do not agree.

    Example:
        >>> import tensorgraph as tg
        >>> tg.concatenate([tg.tensor([1.0]), tg.tensor([2.0, 3.0])])
        tensor([1., 2., 3.])
    """
    arrays = list(arrays)
    if not arrays:
        raise located(ShapeError, "concatenate", "needs at least one array")
    shapes = [np.shape(array) for array in arrays]
    _check_whole("concatenate", axis)
    if not shapes[0]:
        raise located(ShapeError, "concatenate", "scalars have no axis to join along; use stack")
    _check_axis("concatenate", axis, len(shapes[0]))
    rest = {(*shape[: axis % len(shape)], *shape[axis % len(shape) + 1 :]) for shape in shapes if shape}
    if len({len(shape) for shape in shapes}) > 1 or len(rest) > 1:
        raise located(ShapeError, "concatenate", f"shapes {_listed(shapes)} differ in more than axis {axis}")
    return _concatenate(*arrays, axis=axis)


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """The arrays side by side along a new axis.

    Raises:
        ShapeError: there is none, or the shapes differ.

    Example:
        >>> import tensorgraph as tg
        >>> tg.stack([tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0])])
        tensor([[1., 2.],
                [3., 4.]])
    """
    arrays = list(arrays)
    if not arrays:
        raise located(ShapeError, "stack", "needs at least one array")
    shapes = [np.shape(array) for array in arrays]
    if len(set(shapes)) > 1:
        raise located(ShapeError, "stack", f"shapes {_listed(shapes)} differ")
    _check_axis("stack", axis, len(shapes[0]) + 1)
    return concatenate([expand_dims(array, axis) for array in arrays], axis=axis)


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x cut along an axis, as `numpy.split`.

    Arguments:
        indices_or_sections: the number of equal parts, or the positions before which to cut.

    Returns:
        A list of the parts.

    Raises:
        ShapeError: the axis does not divide into equal parts.

    Example:
        >>> import tensorgraph as tg
        >>> tg.split(tg.arange(4), 2)
        [tensor([0, 1]), tensor([2, 3])]
    """
    x = operand(x)
    shape = x.shape
    _check_axis("split", axis, len(shape))
    size = shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        if indices_or_sections < 1 or size % indices_or_sections:
            raise located(
                ShapeError,
                "split",
                f"axis {axis} of x of shape {shape} does not divide into {indices_or_sections} equal parts",
            )
        step = size // indices_or_sections
        cuts = list(range(step, size, step)) if step else [0] * (indices_or_sections - 1)
    else:
        if not isinstance(indices_or_sections, (Sequence, np.ndarray)):
            raise located(
                TypeError,
                "split",
                f"indices_or_sections must be a whole number or a list of positions, got {indices_or_sections!r}",
            )
        cuts = [int(cut) for cut in indices_or_sections]
    lead = (slice(None),) * (axis % len(shape))
    return [x[(*lead, slice(start, stop))] for start, stop in zip([0, *cuts], [*cuts, size], strict=True)]


def _check_whole(op: str, axis: Any) -> None:
    if not isinstance(axis, (int, np.integer)):
        fix = "; give the arrays as one list" if isinstance(axis, (Traced, np.ndarray)) else ""
        raise located(TypeError, op, f"axis must be a whole number, got {type(axis).__name__}{fix}")


def _check_axis(op: str, axis: int, ndim: int) -> None:
    _check_whole(op, axis)
    if not -ndim <= axis < ndim:
        raise located(np.exceptions.AxisError, op, f"axis {axis} is out of bounds for {ndim} axes")


def _spelled(axes: tuple[Any, ...]) -> tuple[int, ...]:
    """(2, 0, 1) however it was given: as several arguments or as one sequence."""
    return tuple(axes[0]) if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)) else axes


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))
