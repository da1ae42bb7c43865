"""Batch normalization and dropout."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np

from tensorgraph import kernels
from tensorgraph._context import located
from tensorgraph._primitive import primitive
from tensorgraph._tape import Array, Traced, writable
from tensorgraph.errors import ShapeError
from tensorgraph.ops._checks import check_floats
from tensorgraph.ops.elementwise import sqrt
from tensorgraph.ops.reduce import mean, sum
from tensorgraph.random import chosen


def _check_floats(op: str, x: Any, name: str = "x") -> None:
    try:
        check_floats(name, x)
    except TypeError as error:
        raise located(TypeError, op, error) from None


# --- batch normalization ---------------------------------------------------------------------------------------------


def _per_channel(v: Any, x: Any) -> Any:
    """(C,) -> (1, C, 1, ...), to broadcast against x."""
    return v.reshape((1, -1) + (1,) * (x.ndim - 2))


def _others(x: Any) -> tuple[int, ...]:
    """All axes but the channels'."""
    return (0, *range(2, x.ndim))


@primitive(gate="function", name="batch_norm", saves=("mean", "var", "shared"))
def _standardize(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float, report: Any = None
) -> tuple[Array, Array, Array, _Shared]:
    """(x - mean) / sqrt(var + eps) * weight + bias with the mean and variance of the batch, channel by channel.

    report: called with the mean and variance, (C,).
    """
    out, mean, var = kernels.batch_norm(x, weight, bias, eps)
    if report is not None:
        report(mean, var)
    return out, mean, var, _Shared()


class _Shared:
    """The three gradients of a call, which one kernel computes: those of weight and bias wait for their rules here."""

    def __init__(self) -> None:
        self._kept: Any = None

    def of_x(self, g: Array, *rest: Any) -> Any:
        """The gradient of x, given what `kernels.batch_norm_grad` takes."""
        return self._compute(g, *rest)[0]

    def of_others(self, g: Array, *rest: Any) -> Any:
        """The gradients of weight and bias."""
        kept = self._kept
        return kept[1] if kept is not None and kept[0]() is g else self._compute(g, *rest)[1]

    def _compute(self, g: Array, *rest: Any) -> tuple[Array, list[Array]]:
        x_grad, *others = kernels.batch_norm_grad(g, *rest)
        self._kept = weakref.ref(g), others  # a strong one would keep a large array until the graph is freed
        return x_grad, others


def _standardized(x: Any, eps: float) -> tuple[Any, Any]:
    """The standardized x and sqrt(var + eps)."""
    centered = x - mean(x, axis=_others(x), keepdims=True)
    spread = sqrt(mean(centered * centered, axis=_others(x), keepdims=True) + eps)
    return centered / spread, spread


def _standardize_x(g: Any, out: Any, x: Any, weight: Any, bias: Any, *, eps: float, shared: Any, **saved: Any) -> Any:
    """x moves its batch's mean and variance too: their shares are taken off the upstream gradient."""
    if isinstance(g, np.ndarray):
        return shared.of_x(g, x, weight, saved["mean"], saved["var"], eps)
    unit, spread = _standardized(x, eps)
    if weight is not None:
        g = g * _per_channel(weight, x)
    along_unit = mean(g * unit, axis=_others(x), keepdims=True)
    return (g - mean(g, axis=_others(x), keepdims=True) - unit * along_unit) / spread


def _standardize_weight(
    g: Any, out: Any, x: Any, weight: Any, bias: Any, *, eps: float, shared: Any, **saved: Any
) -> Any:
    if isinstance(g, np.ndarray):
        return shared.of_others(g, x, weight, saved["mean"], saved["var"], eps)[0]
    return sum(g * _standardized(x, eps)[0], axis=_others(x))


def _standardize_bias(
    g: Any, out: Any, x: Any, weight: Any, bias: Any, *, eps: float, shared: Any, **saved: Any
) -> Any:
    if isinstance(g, np.ndarray):
        return shared.of_others(g, x, weight, saved["mean"], saved["var"], eps)[1]
    return sum(g, axis=_others(x))


_standardize.vjp(x=_standardize_x, weight=_standardize_weight, bias=_standardize_bias)


def batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, channel by channel.

    In training the mean and variance are the batch's, and the running ones move towards them:
    running = (1 - momentum) running + momentum batch, the variance with n - 1. Otherwise the running ones are used.

    Arguments:
        x: (N, C) or (N, C, ...). running_mean, running_var, weight, bias: (C,) or None. The running ones are changed in
            place in training, and needed otherwise.

    Raises:
        ShapeError: the shapes do not fit, or a batch of one value a channel has no variance.

    Example:
        >>> import tensorgraph as tg
        >>> tg.batch_norm(tg.tensor([[1.0], [3.0]]), training=True, eps=0.0)
        tensor([[-1.],
                [ 1.]])

    Source: Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", 2015.
    """
    shape = np.shape(x)
    if len(shape) < 2:
        raise located(ShapeError, "batch_norm", f"x must have at least 2 axes (N, C), got shape {shape}")
    _check_floats("batch_norm", x)
    for name, v in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if v is not None and np.shape(v) != (shape[1],):
            raise located(
                ShapeError,
                "batch_norm",
                f"{name} must have shape ({shape[1]},) for x of shape {shape}, got {np.shape(v)}",
            )
    if training:
        if x.size == shape[1]:
            raise located(
                ShapeError, "batch_norm", f"needs more than one value a channel in training, got x of shape {shape}"
            )
        for name, running in (("running_mean", running_mean), ("running_var", running_var)):
            if running is not None:
                _check_floats("batch_norm", running, name)
        update = partial(_update_running, running_mean, running_var, momentum, x.size / shape[1])
        return _standardize(x, weight, bias, eps=eps, report=update)
    if running_mean is None or running_var is None:
        raise located(TypeError, "batch_norm", "needs running_mean and running_var when training is False")
    scale = 1.0 / sqrt(running_var + eps)
    if weight is not None:
        scale = scale * weight
    out = (x - _per_channel(running_mean, x)) * _per_channel(scale, x)
    return out if bias is None else out + _per_channel(bias, x)


def _update_running(
    running_mean: Any, running_var: Any, momentum: float, count: float, mean: Array, var: Array
) -> None:
    for running, batch in ((running_mean, mean), (running_var, var * (count / (count - 1)))):
        if running is not None:
            array = writable(running) if isinstance(running, Traced) else running
            array *= 1 - momentum
            array += momentum * batch


# --- dropout ---------------------------------------------------------------------------------------------------------


def dropout(x: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None) -> Any:
    """x with each element set to 0 with probability p, the others divided by 1 - p; x itself when not training.

    Arguments:
        p: the probability to drop, 0 <= p <= 1. rng: where the randomness comes from; the library's own if None.

    Raises:
        ValueError: p is not in [0, 1]. TypeError: x does not hold floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.dropout(tg.ones(4), p=0.25, training=False)
        tensor([1., 1., 1., 1.])

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    """
    if not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise located(ValueError, "dropout", f"p must lie in [0, 1], got {p!r}")
    if not training or p == 0:
        return x
    _check_floats("dropout", x)
    keys = tuple(chosen(rng).integers(2**32, size=2).tolist())
    return _dropout(x, p=p, keys=keys)


@primitive(gate="mul", name="dropout")
def _dropout(x: Array, /, *, p: float, keys: tuple[int, int]) -> Array:
    """x times a mask of zeros and 1 / (1 - p), which the keys decide. The mask is not kept: keys make it again."""
    return kernels.dropout(x, p, keys)


_dropout.vjp(x=lambda g, out, x, *, p, keys: _dropout(g, p=p, keys=keys))
