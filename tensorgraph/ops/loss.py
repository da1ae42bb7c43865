"""Losses: how far outputs are from targets, as one number (reduction "mean" or "sum") or one a case ("none")."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph import kernels
from tensorgraph._context import located
from tensorgraph._primitive import elementwise, primitive
from tensorgraph._tape import Array, Traced
from tensorgraph.errors import ShapeError
from tensorgraph.ops._checks import operand
from tensorgraph.ops.activations import sigmoid
from tensorgraph.ops.elementwise import clip, log, log1p, maximum
from tensorgraph.ops.index import getitem, one_hot
from tensorgraph.ops.reduce import mean, sum
from tensorgraph.ops.shape import expand_dims
from tensorgraph.ops.softmax import log_softmax, softmax


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')


def _reduced(losses: Any, reduction: str) -> Any:
    return mean(losses) if reduction == "mean" else sum(losses) if reduction == "sum" else losses


# --- class targets ---------------------------------------------------------------------------------------------------


@primitive(gate="function", saves=("probabilities",))
def softmax_cross_entropy(logits: Array, target: Array, *, reduction: str = "mean") -> tuple[Array, Array | None]:
    """-log(softmax(logits)[target]), the softmax and the cross-entropy in one. d/dlogits = softmax(logits) - target.

    Arguments:
        logits: (N, C) or (C,), floats. target: class numbers (N,) or (), integers in 0..C-1; or probabilities in the
            shape of the logits, floats. reduction: "mean" over N, "sum" or "none".

    Returns:
        A scalar, or (N,) for "none".

    Raises:
        ShapeError: the shapes do not fit. TypeError: class numbers are not integers.
        ValueError: a class is out of range, a probability not in [0, 1].

    Example:
        >>> import tensorgraph as tg
        >>> tg.softmax_cross_entropy(tg.tensor([[1.042, 1.914]]), tg.tensor([0]))
        tensor(1.221328...)

    Source: course, section 1 and worked example W3.
    """
    _check_reduction(reduction)
    target = _checked_target(logits, target)
    if target.shape == logits.shape:
        losses: Any = -np.sum(target * kernels.log_softmax(logits, -1), axis=-1).astype(logits.dtype)
        return _reduced(losses, reduction), None
    try:
        return kernels.softmax_cross_entropy(logits, target, reduction)
    except ValueError:
        _check_range(target, logits.shape[-1])
        raise


def _checked_target(logits: Array, target: Any) -> Array:
    logits, target = np.asarray(logits), np.asarray(target)
    shape = logits.shape
    if len(shape) not in (1, 2):
        raise ShapeError(f"logits must have shape (N, C) or (C,), got {shape}")
    if logits.dtype.kind != "f":
        raise TypeError(f'logits must be floats, got {logits.dtype}; convert them with logits.astype("float32")')
    if target.shape == shape and target.dtype.kind == "f":
        return _checked_shares(target)
    _check_classes(target, shape)
    return target


def _checked_shares(target: Array) -> Array:
    """Probabilities (N, C) or (C,); 0.7 + 0.3 may miss 1 by a rounding."""
    distance = np.abs(target - 0.5)
    if target.size and not distance.max() <= 0.501:  # NaN is not
        worst = target.flat[distance.argmax()]
        raise ValueError(
            f"target of shape {target.shape} must hold probabilities in [0, 1], got {worst:g}; "
            f"labels are integers of shape {target.shape[:-1]}"
        )
    return target


def _check_classes(target: Array, shape: tuple[int, ...]) -> None:
    """Raise unless the target holds one integer for each row of scores of the given shape (N, C) or (C,)."""
    if target.shape != shape[:-1]:
        fix = ""
        if target.shape == (*shape[:-1], 1):
            fix = f"; use target.reshape({shape[0]})" if len(shape) > 1 else "; use target[0]"
        elif target.shape == shape:
            fix = '; probabilities must be floats, target.astype("float32")'
        raise ShapeError(
            f"target must have shape {shape[:-1]}, one class for each row of scores of shape {shape}, "
            f"got shape {target.shape}{fix}"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(
            f'target must hold integer class numbers, got {target.dtype}; convert it with target.astype("int64")'
        )


def _check_range(target: Array, classes: int) -> None:
    if target.size and not (target.min() >= 0 and target.max() < classes):
        raise ValueError(f"target must hold classes in 0..{classes - 1}, got {target.min()}..{target.max()}")


def _logits_rule(
    g: Any, out: Any, logits: Any, target: Any, *, probabilities: Array | None, reduction: str = "mean"
) -> Any:
    if probabilities is not None and type(g) is np.ndarray:
        return kernels.softmax_cross_entropy_grad(g, probabilities, np.asarray(target), reduction)
    if np.shape(target) == logits.shape:
        d = softmax(logits) * sum(target, axis=-1, keepdims=True) - target
    else:
        d = softmax(logits) - one_hot(target, logits.shape[-1]).astype(logits.dtype)
    return d * _per_row(g, logits, reduction)


def _per_row(g: Any, logits: Any, reduction: str) -> Any:
    """The gradient of a loss as one factor for each row of logits."""
    if reduction == "mean" and logits.ndim == 2:
        return g / float(logits.shape[0])
    return expand_dims(g, -1) if reduction == "none" else g


def _target_rule(g: Any, out: Any, logits: Any, target: Any, *, reduction: str = "mean", **saved: Any) -> Any:
    return -log_softmax(logits) * _per_row(g, logits, reduction)


softmax_cross_entropy.vjp(logits=_logits_rule, target=_target_rule)


def nll_loss(log_probs: Any, target: Any, *, reduction: str = "mean") -> Any:
    """-log_probs[target], the negative log-likelihood of the right classes.

    Arguments:
        log_probs: (N, C), such as the output of `log_softmax`. target: (N,) class numbers.
        reduction: "mean", "sum" or "none".

    Raises:
        ShapeError, TypeError, ValueError: as `softmax_cross_entropy`.

    Example:
        >>> import tensorgraph as tg
        >>> tg.nll_loss(tg.tensor([[-0.5, -1.0]]), tg.tensor([1]))
        tensor(1.)
    """
    log_probs, target = operand(log_probs), operand(target)
    classes = target._array if isinstance(target, Traced) else target
    try:
        _check_reduction(reduction)
        if np.ndim(log_probs) != 2:
            raise ShapeError(f"log_probs must have shape (N, C), got {np.shape(log_probs)}")
        classes = np.asarray(classes)
        _check_classes(classes, np.shape(log_probs))
        _check_range(classes, np.shape(log_probs)[-1])
    except (ValueError, TypeError) as error:
        raise located(type(error), "nll_loss", error) from None
    picked = getitem(log_probs, index=(np.arange(len(classes)), classes.copy()))
    return _reduced(-picked, reduction)


# --- targets like the output -----------------------------------------------------------------------------------------


def _check_alike(op: str, x: Any, target: Any, reduction: str, name: str = "x") -> None:
    """Refuse targets of another shape: broadcasting (n,) against (n, 1) would compare every pair."""
    try:
        _check_reduction(reduction)
        if np.shape(x) != np.shape(target):
            fix = ""
            if np.size(x) == np.size(target):
                fix = f"; use target.reshape{np.shape(x)}"
            elif np.shape(x)[:-1] == np.shape(target) and target.dtype.kind in "iu":
                fix = f"; for class numbers use tg.one_hot(target, {np.shape(x)[-1]})"
            raise ShapeError(
                f"{name} of shape {np.shape(x)} and target of shape {np.shape(target)} must have the same shape{fix}"
            )
    except ValueError as error:
        raise located(type(error), op, error) from None


def mse_loss(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """(x - target)^2. d/dx = 2 (x - target).

    Arguments:
        x, target: floats of the same shape. reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the shapes differ, even if they would broadcast.

    Example:
        >>> import tensorgraph as tg
        >>> tg.mse_loss(tg.tensor([1.0, 4.0]), tg.tensor([1.0, 2.0]))
        tensor(2.)
    """
    x, target = operand(x), operand(target)
    _check_alike("mse_loss", x, target, reduction)
    distance = x - target
    return _reduced(distance * distance, reduction)


@elementwise(gate="function", name="binary_cross_entropy")
def _log_loss(p: Array, target: Array, /) -> Array:
    """-(t log p + (1 - t) log(1 - p)) with logarithms of at least -100, as PyTorch: a wrong certainty costs 100."""
    with np.errstate(divide="ignore"):
        return -(target * np.maximum(np.log(p), -100) + (1 - target) * np.maximum(np.log1p(-p), -100))


_log_loss.vjp(
    p=lambda g, out, p, target: g * (p - target) / maximum(p * (1 - p), 1e-12),
    target=lambda g, out, p, target: g * (clip(log1p(-p), -100.0) - clip(log(p), -100.0)),
)


def binary_cross_entropy(p: Any, target: Any, *, reduction: str = "mean") -> Any:
    """-(t log p + (1 - t) log(1 - p)), the log loss. d/dp = (p - t) / (p (1 - p)).

    Arguments:
        p: probabilities in [0, 1]. target: 0, 1 or between, same shape. reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the shapes differ. ValueError: p is not in [0, 1].

    Example:
        >>> import tensorgraph as tg
        >>> tg.binary_cross_entropy(tg.tensor([0.5]), tg.tensor([1.0]))
        tensor(0.693147...)
    """
    p, target = operand(p), operand(target)
    _check_alike("binary_cross_entropy", p, target, reduction, name="p")
    _check_probabilities(p)
    return _reduced(_log_loss(p, target), reduction)


def _check_probabilities(p: Any) -> None:
    values = p._array if isinstance(p, Traced) else np.asarray(p)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise located(
            ValueError,
            "binary_cross_entropy",
            f"p must lie in [0, 1], got {values.min():g}..{values.max():g}; "
            "for logits use binary_cross_entropy_with_logits",
        )


@elementwise(gate="function", name="binary_cross_entropy_with_logits")
def _log_loss_of_logits(x: Array, target: Array, /) -> Array:
    """-(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))) = |x| (1 - t, or t where x < 0) + log(1 + e^-|x|)."""
    size = np.abs(x)
    return size * np.where(np.less(x, 0), target, 1 - target) + np.log1p(np.exp(-size))


_log_loss_of_logits.vjp(
    x=lambda g, out, x, target: g * (sigmoid(x) - target),
    target=lambda g, out, x, target: -g * x,
)


def binary_cross_entropy_with_logits(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The log loss of sigmoid(x), exact for logits of any size. d/dx = sigmoid(x) - t.

    Arguments:
        x: logits. target: 0, 1 or between, same shape. reduction: "mean", "sum" or "none".

    Raises:
        ShapeError: the shapes differ.

    Example:
        >>> import tensorgraph as tg
        >>> tg.binary_cross_entropy_with_logits(tg.tensor([0.0]), tg.tensor([1.0]))
        tensor(0.693147...)
    """
    x, target = operand(x), operand(target)
    _check_alike("binary_cross_entropy_with_logits", x, target, reduction)
    return _reduced(_log_loss_of_logits(x, target), reduction)
