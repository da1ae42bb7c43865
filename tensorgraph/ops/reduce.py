"""Reductions. The gradient of a reduction is spread back over the axes that were reduced.

`axis` is None (all axes), a number or several; `keepdims` keeps the reduced axes with size 1, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph import kernels
from tensorgraph._broadcast import broadcast_to
from tensorgraph._constant import constant
from tensorgraph._context import located
from tensorgraph._primitive import primitive
from tensorgraph._tape import Array
from tensorgraph.errors import ShapeError
from tensorgraph.ops.elementwise import abs, sign, where

Axis = int | tuple[int, ...] | None


def reduced_axes(ndim: int, axis: Axis) -> tuple[int, ...]:
    """The reduced axes, counted from the front and in order."""
    return tuple(range(ndim)) if axis is None else tuple(sorted(np.lib.array_utils.normalize_axis_tuple(axis, ndim)))


def _count(x: Any, axis: Axis) -> int:
    """How many elements go into one."""
    count = 1
    for i in reduced_axes(x.ndim, axis):
        count *= x.shape[i]
    return count


def put_back(reduced: Any, x: Any, axis: Axis) -> Any:
    """A reduced value with the reduced axes put back as size 1, so that it broadcasts against x."""
    axes = reduced_axes(x.ndim, axis)
    return reduced.reshape(tuple(1 if i in axes else size for i, size in enumerate(x.shape)))


def _spread(reduced: Any, x: Any, axis: Axis) -> Any:
    """A reduced value repeated over the reduced axes, in the shape of x."""
    return broadcast_to(put_back(reduced, x, axis), shape=x.shape)


def as_floats(x: Array) -> Array:
    """Integers as float32, the type of results that have fractions."""
    return x if np.asarray(x).dtype.kind == "f" else np.asarray(x, np.float32)


def _sum_type(x: Array) -> Any:
    """The type of sums and products: int64 for integers and bools, as in PyTorch, that of x for floats."""
    return None if np.asarray(x).dtype.kind == "f" else np.int64


# --- sums ------------------------------------------------------------------------------------------------------------


_BIAS_AXES = ((2, 0), (4, (0, 2, 3)))  # numbers of axes, and over which the gradients of biases are summed


@primitive(gate="add")
def sum(x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """The sum over the axes. Distributes: every summand receives the upstream gradient.

    Example:
        >>> import tensorgraph as tg
        >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
        tensor([4., 6.])
    """
    if type(x) is np.ndarray and (x.ndim, axis) in _BIAS_AXES and x.dtype.kind == "f" and not keepdims:
        return kernels.channel_sums(x)
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=_sum_type(x))


sum.vjp(x=lambda g, out, x, axis=None, keepdims=False: _spread(g, x, axis))


@primitive(gate="add")
def mean(x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """The mean over the axes. Each of the n elements receives 1/n of the upstream gradient."""
    return np.mean(as_floats(x), axis=axis, keepdims=keepdims)


mean.vjp(x=lambda g, out, x, axis=None, keepdims=False: _spread(g / _divisor(_count(x, axis)), x, axis))


def _divisor(count: int) -> float:
    """The count as a number to divide by: an empty mean is NaN, not a ZeroDivisionError."""
    return float(count) if count > 0 else np.nan


@primitive(gate="function")
def var(x: Array, /, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Array:
    """The mean squared distance from the mean, sum((x - mean)^2) / (n - ddof). d/dx = 2 (x - mean) / (n - ddof).

    Arguments:
        ddof: subtracted from the count n; 0 as in NumPy, 1 for PyTorch's default.
    """
    return np.var(as_floats(x), axis=axis, keepdims=keepdims, ddof=ddof)


def _var_rule(g: Any, out: Any, x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    return put_back(g, x, axis) * (2.0 / _divisor(_count(x, axis) - ddof)) * (x - mean(x, axis=axis, keepdims=True))


var.vjp(x=_var_rule)


@primitive(gate="function")
def std(x: Array, /, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Array:
    """The standard deviation, the square root of `var`. Its derivative is taken as 0 where all elements are equal."""
    return np.std(as_floats(x), axis=axis, keepdims=keepdims, ddof=ddof)


def _std_rule(g: Any, out: Any, x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    slope = where(out == 0, 0.0, g / where(out == 0, 1.0, out))
    return put_back(slope, x, axis) * ((x - mean(x, axis=axis, keepdims=True)) / _divisor(_count(x, axis) - ddof))


std.vjp(x=_std_rule)

# --- products --------------------------------------------------------------------------------------------------------


@primitive(gate="mul")
def prod(x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """The product over the axes. Swaps: each factor receives the upstream gradient times the product of the others.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([2.0, 0.0, 5.0], requires_grad=True)
        >>> tg.prod(x).backward()
        >>> x.grad
        tensor([ 0., 10.,  0.])
    """
    return np.prod(x, axis=axis, keepdims=keepdims, dtype=_sum_type(x))


def _prod_rule(g: Any, out: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    if np.all(np.asarray(x != 0)):
        return put_back(g * out, x, axis) / x
    return put_back(g, x, axis) * _others(x, reduced_axes(x.ndim, axis))


def _others(x: Any, axes: tuple[int, ...]) -> Any:
    """For every element the product of the others along the axes: right where factors are 0, at quadratic cost."""
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    order = rest + axes
    moved = x.transpose(order)
    n = _count(x, axes)
    rows = moved.reshape((*moved.shape[: len(rest)], 1, n))  # (..., 1, n): all factors, to be repeated once per element
    others = prod(where(np.eye(n, dtype=bool), 1.0, rows), axis=-1)  # (..., n, n) -> (..., n)
    return others.reshape(moved.shape).transpose(tuple(int(i) for i in np.argsort(order)))


prod.vjp(x=_prod_rule)

# --- extremes: the max gate routes to the FIRST extreme ---------------------------------------------------------------


@primitive(gate="max")
def max(x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest element along the axes. Routes: the first maximum receives the whole gradient.

    NaN counts as larger than any number.

    Raises:
        ShapeError: an axis to be reduced is empty.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([1.0, 3.0, 3.0], requires_grad=True)
        >>> tg.max(x).backward()
        >>> x.grad
        tensor([0., 1., 0.])
    """
    return np.max(_not_empty(x, axis), axis=axis, keepdims=keepdims)


max.vjp(x=lambda g, out, x, axis=None, keepdims=False: where(_first(x, axis, np.argmax), put_back(g, x, axis), 0.0))


@primitive(gate="max")
def min(x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest element along the axes. Routes: the first minimum receives the whole gradient."""
    return np.min(_not_empty(x, axis), axis=axis, keepdims=keepdims)


min.vjp(x=lambda g, out, x, axis=None, keepdims=False: where(_first(x, axis, np.argmin), put_back(g, x, axis), 0.0))


def _not_empty(x: Array, axis: Axis) -> Array:
    if np.size(x) == 0 and _count(x, axis) == 0:
        where = "" if axis is None else f" along axis {axis}"
        raise ShapeError(f"x of shape {np.shape(x)} has no elements{where}")
    return x


@constant
def _first(x: Array, axis: Axis, position: Any) -> Array:
    """A mask over x with one True in each reduced group: where `position` (argmax, argmin) first finds the extreme."""
    axes = reduced_axes(x.ndim, axis)
    order = tuple(i for i in range(x.ndim) if i not in axes) + axes
    moved = x.transpose(order)
    groups = moved.reshape(-1, _count(x, axis))  # one group a row
    mask = np.zeros(groups.shape, bool)
    mask[np.arange(len(groups)), position(groups, axis=1)] = True
    return mask.reshape(moved.shape).transpose(np.argsort(order))


@constant
def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """The position of the first maximum along the axis (int64), in the flattened array if axis is None.

    Example:
        >>> import tensorgraph as tg
        >>> tg.argmax(tg.tensor([1.0, 3.0, 3.0]))
        tensor(1)
    """
    return np.argmax(_not_empty(x, axis), axis=axis, keepdims=keepdims)


@constant
def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """The position of the first minimum along the axis (int64), in the flattened array if axis is None."""
    return np.argmin(_not_empty(x, axis), axis=axis, keepdims=keepdims)


# --- running sums and norms ------------------------------------------------------------------------------------------


@primitive(gate="add")
def cumsum(x: Array, /, axis: int | None = None) -> Array:
    """The running sum along the axis, of the flattened array if None. Its gradient is the running sum from the end.

    Example:
        >>> import tensorgraph as tg
        >>> tg.cumsum(tg.tensor([1.0, 2.0, 3.0]))
        tensor([1., 3., 6.])
    """
    return np.cumsum(x, axis=axis, dtype=_sum_type(x))


def _cumsum_rule(g: Any, out: Any, x: Any, axis: int | None = None) -> Any:
    backwards = (slice(None),) * (0 if axis is None else axis % g.ndim) + (slice(None, None, -1),)
    return cumsum(g[backwards], axis=axis or 0)[backwards].reshape(x.shape)


cumsum.vjp(x=_cumsum_rule)


def norm(x: Any, ord: float | None = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The vector norm of x along the axes: (sum |x|^ord)^(1/ord), of all elements if axis is None.

    The derivative is taken as 0 at the zero vector.

    Arguments:
        x: array. ord: a positive number; None is 2, the Euclidean norm. As in NumPy, inf and -inf give the largest and
            the smallest |x|, and 0 the number of elements that are not 0, which carries no gradient.

    Raises:
        ValueError: another ord.

    Example:
        >>> import tensorgraph as tg
        >>> tg.norm(tg.tensor([3.0, 4.0]))
        tensor(5.)
    """
    if ord == np.inf:
        return max(abs(x), axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return min(abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(abs(sign(x)), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(abs(x), axis=axis, keepdims=keepdims)
    if ord is not None and (not isinstance(ord, (int, float, np.number)) or not ord > 0):
        raise located(ValueError, "norm", f"ord must be a positive number, 0, inf or -inf, got {ord!r}")
    return _norm(x, ord=2.0 if ord is None else float(ord), axis=axis, keepdims=keepdims)


@primitive(gate="function", name="norm")
def _norm(x: Array, /, ord: float = 2.0, axis: Axis = None, keepdims: bool = False) -> Array:
    """(sum |x|^ord)^(1/ord). d/dx = sign(x) (|x| / norm)^(ord - 1), which is x / norm for ord 2."""
    if ord == 2:
        return np.sqrt(np.sum(np.square(as_floats(x)), axis=axis, keepdims=keepdims))
    return np.power(np.sum(np.abs(as_floats(x)) ** ord, axis=axis, keepdims=keepdims), 1.0 / ord)


def _norm_rule(g: Any, out: Any, x: Any, ord: float = 2.0, axis: Axis = None, keepdims: bool = False) -> Any:
    safe = where(out == 0, 1.0, out)  # the derivative at the zero vector is taken as 0
    if ord == 2:
        return x * put_back(where(out == 0, 0.0, g / safe), x, axis)
    share = abs(x) / put_back(safe, x, axis)
    return put_back(g, x, axis) * sign(x) * where(share == 0, 0.0, where(share == 0, 1.0, share) ** (ord - 1))


_norm.vjp(x=_norm_rule)
