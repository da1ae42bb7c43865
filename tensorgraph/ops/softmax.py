"""The softmax family. Exact for finite logits of any size: the largest one is subtracted first."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph import kernels
from tensorgraph._primitive import primitive
from tensorgraph._tape import Array
from tensorgraph.ops.elementwise import where
from tensorgraph.ops.reduce import Axis, as_floats, put_back, reduced_axes, sum


@primitive(gate="function")
def logsumexp(x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """log(sum(e^x)) over the axes, all of them if axis is None. d/dx = softmax(x), 0 beside an infinite element.

    Example:
        >>> import tensorgraph as tg
        >>> tg.logsumexp(tg.tensor([1e30, 0.0]))
        tensor(1.e+30)
    """
    x = as_floats(x)
    peak = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    peak = np.where(np.isinf(peak), np.zeros_like(peak), peak)  # inf - inf would be NaN
    with np.errstate(divide="ignore"):  # log 0 = -inf where all are -inf
        out = np.log(np.sum(np.exp(x - peak), axis=axis, keepdims=True)) + peak
    return out if keepdims else np.squeeze(out, axis=reduced_axes(x.ndim, axis))


def _logsumexp_rule(g: Any, out: Any, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    beside_infinity = (x < np.inf) & (put_back(out, x, axis) == np.inf)  # where softmax is NaN
    return put_back(g, x, axis) * where(beside_infinity, 0.0, softmax(x, axis=reduced_axes(x.ndim, axis)))


logsumexp.vjp(x=_logsumexp_rule)


@primitive(gate="function")
def softmax(x: Array, /, axis: Axis = -1) -> Array:
    """e^x / sum(e^x) along the axis: positive numbers that sum to 1. d/dx = s (g - sum(g s)).

    Example:
        >>> import tensorgraph as tg
        >>> tg.softmax(tg.tensor([0.0, 0.0, 1e30]))
        tensor([0., 0., 1.])

    Source: course, worked example W8.
    """
    return kernels.softmax(as_floats(x), axis)


def _softmax_rule(g: Any, out: Any, x: Any, axis: Axis = -1) -> Any:
    if type(g) is np.ndarray:
        return kernels.softmax_grad(g, out, axis)
    return out * (g - sum(g * out, axis=axis, keepdims=True))


softmax.vjp(x=_softmax_rule)


@primitive(gate="function")
def log_softmax(x: Array, /, axis: Axis = -1) -> Array:
    """log(softmax(x)) along the axis, without rounding small probabilities to 0. d/dx = g - softmax(x) sum(g).

    Example:
        >>> import tensorgraph as tg
        >>> tg.log_softmax(tg.tensor([0.0, 1e30]))
        tensor([-1.e+30,  0.e+00])
    """
    return kernels.log_softmax(as_floats(x), axis)


def _log_softmax_rule(g: Any, out: Any, x: Any, axis: Axis = -1) -> Any:
    if type(g) is np.ndarray:
        return kernels.log_softmax_grad(g, out, axis)
    return g - softmax(x, axis=axis) * sum(g, axis=axis, keepdims=True)


log_softmax.vjp(x=_log_softmax_rule)
