"""Batch normalization and dropout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tensorgraph import kernels
from tensorgraph._context import located
from tensorgraph._primitive import primitive
from tensorgraph._tape import Array, Traced, writable
from tensorgraph.errors import ShapeError
from tensorgraph.ops._checks import check_floats, operand
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


@primitive(gate="function", name="batch_norm", saves=("mean", "var"))
def standardize(
    x: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float, report: Any = None
) -> tuple[Array, Array, Array]:
    """(x - mean) / sqrt(var + eps) * weight + bias with the mean and variance of the batch, channel by channel.

    report: called with the mean and variance, (C,).
    """
    return apply_standardize(x, weight, bias, eps, report, "none")


def apply_standardize(
    x: Array, weight: Array | None, bias: Array | None, eps: float, report: Any, activation: str
) -> tuple[Array, Array, Array]:
    """`standardize` of arrays with an activation, as kernels name it, in the same pass."""
    out, mean, var = kernels.batch_norm(x, weight, bias, eps, activation)
    if report is not None:
        report(mean, var)
    return out, mean, var


def _standardized(x: Any, eps: float) -> tuple[Any, Any]:
    """The standardized x and sqrt(var + eps)."""
    centered = x - mean(x, axis=_others(x), keepdims=True)
    spread = sqrt(mean(centered * centered, axis=_others(x), keepdims=True) + eps)
    return centered / spread, spread


def _standardize_x(g: Any, out: Any, x: Any, weight: Any, bias: Any, *, eps: float, **saved: Any) -> Any:
    """x moves its batch's mean and variance too: their shares are taken off the upstream gradient."""
    unit, spread = _standardized(x, eps)
    if weight is not None:
        g = g * _per_channel(weight, x)
    along_unit = mean(g * unit, axis=_others(x), keepdims=True)
    return (g - mean(g, axis=_others(x), keepdims=True) - unit * along_unit) / spread


standardize.vjp(
    x=_standardize_x,
    weight=lambda g, out, x, weight, bias, *, eps, **saved: sum(g * _standardized(x, eps)[0], axis=_others(x)),
    bias=lambda g, out, x, weight, bias, **saved: sum(g, axis=_others(x)),
)


def standardize_gradients(
    activation: str, g: Array, x: Array, weight: Any, bias: Any, *, eps: float, mean: Array, var: Array, **report: Any
) -> tuple[Array, Array, Array]:
    """The gradients of x, weight and bias from arrays, through an activation behind: one kernel gives all three."""
    return kernels.batch_norm_grad(g, x, weight, bias, mean, var, eps, activation)


standardize.vjp_arrays = lambda wanted, g, out, x, weight, bias, **saved: standardize_gradients(
    "none", g, x, weight, bias, **saved
)


@primitive(gate="function", name="batch_norm_in_use")
def _in_use(
    x: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float,
) -> Array:
    """(x - running_mean) / sqrt(running_var + eps) * weight + bias, channel by channel."""
    return kernels.batch_norm_in_use(x, running_mean, running_var, weight, bias, eps)


def _slope(var: Any, weight: Any, eps: float) -> Any:
    return 1.0 / sqrt(var + eps) if weight is None else weight / sqrt(var + eps)


def _along(g: Any, x: Any, mean: Any) -> Any:
    """The sum over each channel of g times the deviation from the mean."""
    return sum(g * (x - _per_channel(mean, x)), axis=_others(x))


_in_use.vjp(
    x=lambda g, out, x, mean, var, weight, bias, *, eps: g * _per_channel(_slope(var, weight, eps), x),
    running_mean=lambda g, out, x, mean, var, weight, bias, *, eps: -sum(g, axis=_others(x)) * _slope(var, weight, eps),
    running_var=lambda g, out, x, mean, var, weight, bias, *, eps: (
        -0.5 * _along(g, x, mean) * _slope(var, weight, eps) / (var + eps)
    ),
    weight=lambda g, out, x, mean, var, weight, bias, *, eps: _along(g, x, mean) / sqrt(var + eps),
    bias=lambda g, out, x, mean, var, weight, bias, *, eps: sum(g, axis=_others(x)),
)


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
    running = (1 - momentum) running + momentum batch, the variance with n - 1; an empty batch leaves them alone.
    Otherwise the running ones are used.

    Arguments:
        x: (N, C) or (N, C, ...). running_mean, running_var, weight, bias: (C,) or None. The running ones are changed in
            place in training, and needed otherwise.

    Raises:
        ShapeError: the shapes do not fit, or a batch of one value a channel has no variance. TypeError: x or a
            running one does not hold floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.batch_norm(tg.tensor([[1.0], [3.0]]), training=True, eps=0.0)
        tensor([[-1.],
                [ 1.]])

    Source: Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", 2015.
    """
    check_channels(x, running_mean, running_var, weight, bias)
    if training:
        return standardize(x, weight, bias, eps=eps, report=updating(x, running_mean, running_var, momentum))
    if running_mean is None or running_var is None:
        raise located(TypeError, "batch_norm", "needs running_mean and running_var when training is False")
    return _in_use(x, running_mean, running_var, weight, bias, eps=eps)


def check_channels(x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any) -> None:
    """Raise unless x holds floats with channels, and the others are None or one number for each of them."""
    shape = operand(x).shape
    if len(shape) < 2:
        raise located(ShapeError, "batch_norm", f"x must have at least 2 axes (N, C), got shape {shape}")
    _check_floats("batch_norm", x)
    for name, v in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if v is None:
            continue
        if operand(v).shape != shape[1:2]:
            raise located(
                ShapeError,
                "batch_norm",
                f"{name} must have shape ({shape[1]},) for x of shape {shape}, got {np.shape(v)}",
            )
        if name.startswith("running"):
            _check_floats("batch_norm", v, name)


def updating(x: Any, running_mean: Any, running_var: Any, momentum: float) -> Callable[[Array, Array], None] | None:
    """What moves the running mean and variance, after checking that x is fit for training; None if x is empty."""
    shape = x.shape
    if x.size == shape[1]:
        raise located(
            ShapeError, "batch_norm", f"needs more than one value a channel in training, got x of shape {shape}"
        )
    if x.size == 0:  # nothing was seen: the running ones stay
        return None
    return partial(_update_running, running_mean, running_var, momentum, x.size / shape[1])


def _update_running(
    running_mean: Any, running_var: Any, momentum: float, count: float, mean: Array, var: Array
) -> None:
    for running, batch in ((running_mean, mean), (running_var, var * (count / (count - 1)))):
        if running is not None:
            array = writable(running) if isinstance(running, Traced) else running
            array *= 1 - momentum
            array += momentum * batch


# --- dropout ---------------------------------------------------------------------------------------------------------


def _check_probability(op: str, p: Any) -> None:
    if not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise located(ValueError, op, f"p must lie in [0, 1], got {p!r}")


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
    _check_probability("dropout", p)
    if not training or p == 0:
        return x
    _check_floats("dropout", x)
    keys = tuple(chosen(rng).integers(2**32, size=2).tolist())
    return _dropout(x, p=p, keys=keys)


def dropout2d(x: Any, p: float = 0.5, training: bool = True, *, rng: np.random.Generator | None = None) -> Any:
    """x with each channel of each example set to 0 with probability p, the others divided by 1 - p.

    Neighbouring places of a map say much the same, so that a network hardly notices when one of them is missing; all
    places of a channel are dropped together here.

    Arguments:
        x: (N, C) or (N, C, ...), floats. p, training, rng: as in `dropout`.

    Raises:
        ShapeError: x has no channels. ValueError: p is not in [0, 1]. TypeError: x does not hold floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.dropout2d(tg.ones(1, 3, 2, 2), p=1.0).sum()
        tensor(0.)

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015; PyTorch's
    torch.nn.functional.dropout2d.
    """
    _check_probability("dropout2d", p)
    _check_floats("dropout2d", x)
    shape = np.shape(x)
    if len(shape) < 2:
        raise located(ShapeError, "dropout2d", f"x must have at least 2 axes (N, C), got shape {shape}")
    if not training or p == 0:
        return x
    mask = dropout(np.ones(shape[:2] + (1,) * (len(shape) - 2), x.dtype), p, rng=rng)
    return x * mask


@primitive(gate="mul", name="dropout")
def _dropout(x: Array, /, *, p: float, keys: tuple[int, int]) -> Array:
    """x times a mask of zeros and 1 / (1 - p), which the keys decide. The mask is not kept: keys make it again."""
    return kernels.dropout(x, p, keys)


_dropout.vjp(x=lambda g, out, x, *, p, keys: _dropout(g, p=p, keys=keys))
