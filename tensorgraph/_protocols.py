"""NumPy's protocols: `np.exp(t)`, `array * t` and `np.concatenate([t, u])` run our functions and give tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgraph import ops
from tensorgraph._context import located

_UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: ops.add,
    np.subtract: ops.sub,
    np.multiply: ops.mul,
    np.true_divide: ops.div,
    np.power: ops.pow,
    np.float_power: ops.pow,
    np.negative: ops.neg,
    np.absolute: ops.abs,
    np.sqrt: ops.sqrt,
    np.exp: ops.exp,
    np.expm1: ops.expm1,
    np.log: ops.log,
    np.log1p: ops.log1p,
    np.sin: ops.sin,
    np.cos: ops.cos,
    np.tan: ops.tan,
    np.arctan: ops.arctan,
    np.sinh: ops.sinh,
    np.cosh: ops.cosh,
    np.tanh: ops.tanh,
    np.maximum: ops.maximum,
    np.minimum: ops.minimum,
    np.matmul: ops.matmul,
    np.equal: ops.equal,
    np.not_equal: ops.not_equal,
    np.less: ops.less,
    np.less_equal: ops.less_equal,
    np.greater: ops.greater,
    np.greater_equal: ops.greater_equal,
    np.isnan: ops.isnan,
    np.sign: ops.sign,
    np.bitwise_and: ops.bitwise_and,
    np.bitwise_or: ops.bitwise_or,
    np.invert: ops.invert,
    np.logical_and: ops.logical_and,
    np.logical_or: ops.logical_or,
    np.logical_not: ops.logical_not,
}


def _clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return ops.clip(x, min if a_min is None else a_min, max if a_max is None else a_max)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if ord is not None and (x.ndim if axis is None else np.size(axis)) > 1:  # NumPy means a norm of matrices
        raise located(ValueError, "numpy.linalg.norm", "ord is for vectors here; say along which axis")
    return ops.norm(x, ord, axis, keepdims)


_SAME_NAME = (
    "where sum mean var std prod max min argmax argmin cumsum dot einsum reshape transpose swapaxes flip expand_dims "
    "squeeze broadcast_to pad concatenate stack split take copy"
).split()
_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(np, name): getattr(ops, name) for name in _SAME_NAME
}
_FUNCTIONS |= {
    np.amax: ops.max,
    np.amin: ops.min,
    np.permute_dims: ops.transpose,
    np.linalg.norm: _norm,
    np.clip: _clip,
    np.shape: lambda t: t.shape,
    np.ndim: lambda t: t.ndim,
    np.size: lambda t: t.size,
    np.ravel: lambda t: t.reshape(-1),
}


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `Tensor.__array_ufunc__` does."""
    function = _UFUNCS.get(ufunc)
    if method != "__call__" or function is None:
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        raise _unknown(name)
    if options:
        raise located(
            TypeError,
            f"numpy.{ufunc.__name__}",
            f"a tensor takes no {', '.join(options)} here; assign the result instead",
        )
    return function(*inputs)


def call_function(function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `Tensor.__array_function__` does."""
    ours = _FUNCTIONS.get(function)
    if ours is None:
        raise _unknown(function.__name__)
    return ours(*args, **options)


def _unknown(name: str) -> Exception:
    return located(TypeError, f"numpy.{name}", "tensors have no such operation; use t.detach().numpy() for its values")
