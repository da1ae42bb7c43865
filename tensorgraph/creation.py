"""Making tensors. Where nothing says otherwise they are float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph._context import located
from tensorgraph._tape import Traced
from tensorgraph.errors import ShapeError
from tensorgraph.random import chosen
from tensorgraph.tensor import Tensor


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A tensor with a copy of the data.

    Arguments:
        data: an array, a number, or nested lists of numbers. Arrays keep their type; Python numbers and lists become
            float32, or int64 if they are all integers, or bool.
        dtype: the type instead. requires_grad: whether `backward` computes its gradient.
        name: for pictures and messages.

    Raises:
        TypeError: the data are not numbers, or integers that should require a gradient. ShapeError: lists of unequal
            lengths.

    Example:
        >>> import tensorgraph as tg
        >>> tg.tensor([[1, 2], [3, 4]], dtype="float64")
        tensor([[1., 2.],
                [3., 4.]], dtype=float64)
    """
    return Tensor(data, dtype=dtype, requires_grad=requires_grad, name=name)


def _shape(op: str, sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """(2, 3) however it was given: zeros(2, 3), zeros((2, 3)) or zeros([2, 3])."""
    shape = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    if not all(isinstance(size, (int, np.integer)) for size in shape):
        raise located(TypeError, op, f"sizes must be whole numbers, got {shape}")
    if any(size < 0 for size in shape):
        raise located(ShapeError, op, f"sizes must not be negative, got {shape}")
    return shape


def zeros(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros: zeros(2, 3) or zeros((2, 3)).

    Example:
        >>> import tensorgraph as tg
        >>> tg.zeros(2, 2)
        tensor([[0., 0.],
                [0., 0.]])
    """
    return Tensor(np.zeros(_shape("zeros", shape), dtype), requires_grad=requires_grad)


def ones(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return Tensor(np.ones(_shape("ones", shape), dtype), requires_grad=requires_grad)


def full(shape: Any, fill_value: float, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one number: float32, int64 or bool like the number if dtype is None.

    Example:
        >>> import tensorgraph as tg
        >>> tg.full((2,), 7.0)
        tensor([7., 7.])
    """
    value = Tensor(fill_value, dtype=dtype)
    if value.ndim:
        raise located(ShapeError, "full", f"fill_value must be one number, got shape {value.shape}")
    return Tensor(np.full(_shape("full", (shape,)), value.data), requires_grad=requires_grad)


def arange(*start_stop_step: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Evenly spaced numbers as `numpy.arange`: int64 for integers, float32 for floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.arange(2, 8, 2)
        tensor([2, 4, 6])
    """
    try:
        values = np.arange(*start_stop_step, dtype=dtype)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise located(kind, "arange", f"cannot count with {start_stop_step}: {error}") from None
    if dtype is None and values.dtype == np.float64:
        values = values.astype(np.float32)
    return Tensor(values, requires_grad=requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal, zeros elsewhere: the identity matrix."""
    rows, columns = _shape("eye", (n, n if m is None else m))
    return Tensor(np.eye(rows, columns, dtype=dtype), requires_grad=requires_grad)


def zeros_like(x: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape and type of x."""
    return Tensor(np.zeros_like(_values(x), dtype=dtype), requires_grad=requires_grad)


def ones_like(x: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape and type of x."""
    return Tensor(np.ones_like(_values(x), dtype=dtype), requires_grad=requires_grad)


def _values(x: Any) -> Any:
    return x._array if isinstance(x, Traced) else np.asarray(x)


def rand(
    *shape: Any, rng: np.random.Generator | None = None, dtype: Any = np.float32, requires_grad: bool = False
) -> Tensor:
    """Uniform random numbers in [0, 1).

    Arguments:
        rng: where they come from; the library's own generator (`manual_seed`) if None.
    """
    values = chosen(rng).random(_shape("rand", shape)).astype(dtype)
    return Tensor(values, requires_grad=requires_grad)


def randn(
    *shape: Any, rng: np.random.Generator | None = None, dtype: Any = np.float32, requires_grad: bool = False
) -> Tensor:
    """Normal random numbers of mean 0 and variance 1.

    Arguments:
        rng: where they come from; the library's own generator (`manual_seed`) if None.
    """
    values = chosen(rng).standard_normal(_shape("randn", shape)).astype(dtype)
    return Tensor(values, requires_grad=requires_grad)
