"""The operators and named methods of a tensor: `t + u` is `add(t, u)` and `t.sum(axis)` is `sum(t, axis)`.

They are documented at the functions.
"""

from __future__ import annotations

import inspect
from typing import Any, Never

from tensorgraph import ops
from tensorgraph._tape import Traced

Axis = int | tuple[int, ...] | None


def _spelled(sizes: tuple[Any, ...]) -> Any:
    """(2, 3) however it was given: as several arguments or as one sequence."""
    return sizes[0] if len(sizes) == 1 else sizes


class Methods(Traced):
    """Operators and methods as one-line calls of the operations."""

    __slots__ = ()
    __hash__ = object.__hash__  # comparisons give tensors, so equality cannot

    # operators

    def __add__(self, other: Any) -> Any:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return ops.sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return ops.sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return ops.mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return ops.mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return ops.div(other, self)

    def __pow__(self, other: Any) -> Any:
        return ops.pow(self, other)

    def __rpow__(self, other: Any) -> Any:
        return ops.pow(other, self)

    def __matmul__(self, other: Any) -> Any:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self)

    def __neg__(self) -> Any:
        return ops.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return ops.abs(self)

    def __invert__(self) -> Any:
        return ops.invert(self)

    def __and__(self, other: Any) -> Any:
        return ops.bitwise_and(self, other)

    def __or__(self, other: Any) -> Any:
        return ops.bitwise_or(self, other)

    __rand__ = __and__
    __ror__ = __or__

    def __eq__(self, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented  # not equal, rather than an array of comparisons
        return ops.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented
        return ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Any:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Any:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return ops.greater_equal(self, other)

    def __getitem__(self, index: Any) -> Any:
        return ops.getitem(self, index=ops.plain_index(index))

    # element-wise

    def add(self, other: Any) -> Any:
        return ops.add(self, other)

    def sub(self, other: Any) -> Any:
        return ops.sub(self, other)

    def mul(self, other: Any) -> Any:
        return ops.mul(self, other)

    def div(self, other: Any) -> Any:
        return ops.div(self, other)

    def pow(self, other: Any) -> Any:
        return ops.pow(self, other)

    def neg(self) -> Any:
        return ops.neg(self)

    def abs(self) -> Any:
        return ops.abs(self)

    def sqrt(self) -> Any:
        return ops.sqrt(self)

    def exp(self) -> Any:
        return ops.exp(self)

    def expm1(self) -> Any:
        return ops.expm1(self)

    def log(self) -> Any:
        return ops.log(self)

    def log1p(self) -> Any:
        return ops.log1p(self)

    def sin(self) -> Any:
        return ops.sin(self)

    def cos(self) -> Any:
        return ops.cos(self)

    def tan(self) -> Any:
        return ops.tan(self)

    def arctan(self) -> Any:
        return ops.arctan(self)

    def sinh(self) -> Any:
        return ops.sinh(self)

    def cosh(self) -> Any:
        return ops.cosh(self)

    def tanh(self) -> Any:
        return ops.tanh(self)

    def sigmoid(self) -> Any:
        return ops.sigmoid(self)

    def relu(self) -> Any:
        return ops.relu(self)

    def leaky_relu(self, negative_slope: float = 0.01) -> Any:
        return ops.leaky_relu(self, negative_slope=negative_slope)

    def elu(self, alpha: float = 1.0) -> Any:
        return ops.elu(self, alpha=alpha)

    def gelu(self) -> Any:
        return ops.gelu(self)

    def softplus(self) -> Any:
        return ops.softplus(self)

    def maximum(self, other: Any) -> Any:
        return ops.maximum(self, other)

    def minimum(self, other: Any) -> Any:
        return ops.minimum(self, other)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        return ops.clip(self, min, max)

    def astype(self, dtype: Any) -> Any:
        return ops.astype(self, dtype=dtype)

    def copy(self) -> Any:
        return ops.copy(self)

    # reductions; an argument that there is not goes on to the operation, which knows what to say

    def sum(self, axis: Axis = None, keepdims: bool = False, **wrong: Never) -> Any:
        return ops.sum(self, axis=axis, keepdims=keepdims, **wrong)

    def mean(self, axis: Axis = None, keepdims: bool = False, **wrong: Never) -> Any:
        return ops.mean(self, axis=axis, keepdims=keepdims, **wrong)

    def var(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0, **wrong: Never) -> Any:
        return ops.var(self, axis=axis, keepdims=keepdims, ddof=ddof, **wrong)

    def std(self, axis: Axis = None, keepdims: bool = False, ddof: int = 0, **wrong: Never) -> Any:
        return ops.std(self, axis=axis, keepdims=keepdims, ddof=ddof, **wrong)

    def prod(self, axis: Axis = None, keepdims: bool = False, **wrong: Never) -> Any:
        return ops.prod(self, axis=axis, keepdims=keepdims, **wrong)

    def max(self, axis: Axis = None, keepdims: bool = False, **wrong: Never) -> Any:
        return ops.max(self, axis=axis, keepdims=keepdims, **wrong)

    def min(self, axis: Axis = None, keepdims: bool = False, **wrong: Never) -> Any:
        return ops.min(self, axis=axis, keepdims=keepdims, **wrong)

    def argmax(self, axis: int | None = None, keepdims: bool = False, **wrong: Never) -> Any:
        return ops.argmax(self, axis=axis, keepdims=keepdims, **wrong)

    def argmin(self, axis: int | None = None, keepdims: bool = False, **wrong: Never) -> Any:
        return ops.argmin(self, axis=axis, keepdims=keepdims, **wrong)

    def cumsum(self, axis: int | None = None, **wrong: Never) -> Any:
        return ops.cumsum(self, axis=axis, **wrong)

    def logsumexp(self, axis: Axis = None, keepdims: bool = False, **wrong: Never) -> Any:
        return ops.logsumexp(self, axis=axis, keepdims=keepdims, **wrong)

    def softmax(self, axis: Axis = -1, **wrong: Never) -> Any:
        return ops.softmax(self, axis=axis, **wrong)

    def log_softmax(self, axis: Axis = -1, **wrong: Never) -> Any:
        return ops.log_softmax(self, axis=axis, **wrong)

    def norm(self, ord: float | None = None, axis: Axis = None, keepdims: bool = False) -> Any:
        return ops.norm(self, ord, axis, keepdims)

    # shape and index

    @property
    def T(self) -> Any:  # noqa: N802 (NumPy's name)
        return ops.transpose(self)

    def reshape(self, *shape: Any) -> Any:
        return ops.reshape(self, shape=_spelled(shape))

    def transpose(self, *axes: Any) -> Any:
        return ops.transpose(self, axes=_spelled(axes) if axes else None)

    def permute(self, *axes: Any) -> Any:
        return ops.permute(self, *axes)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        return ops.swapaxes(self, axis1, axis2)

    def flip(self, axis: Axis = None, **wrong: Never) -> Any:
        return ops.flip(self, axis=axis, **wrong)

    def expand_dims(self, axis: int | tuple[int, ...]) -> Any:
        return ops.expand_dims(self, axis)

    def squeeze(self, axis: Axis = None) -> Any:
        return ops.squeeze(self, axis)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        return ops.flatten(self, start_dim, end_dim)

    def broadcast_to(self, shape: tuple[int, ...]) -> Any:
        return ops.broadcast_to(self, shape=shape)

    def pad(self, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
        return ops.pad(self, pad_width=pad_width, mode=mode, constant_values=constant_values)

    def split(self, indices_or_sections: Any, axis: int = 0) -> list[Any]:
        return ops.split(self, indices_or_sections, axis)

    def take(self, indices: Any, axis: int | None = None) -> Any:
        return ops.take(self, indices, axis)

    # products

    def matmul(self, other: Any) -> Any:
        return ops.matmul(self, other)

    def dot(self, other: Any) -> Any:
        return ops.dot(self, other)


for _name, _method in vars(Methods).items():
    if inspect.isfunction(_method):
        _method.__qualname__ = f"Tensor.{_name}"  # in Python's errors about a wrong call
