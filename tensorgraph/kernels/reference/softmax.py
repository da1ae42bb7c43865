"""The softmax family and the cross-entropy. Exact for finite logits of any size: the largest one is subtracted first.

Where the largest one is infinite, or one is NaN, there is no such distribution: all of them are NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph.kernels.reference.windows import Array

Axis = int | tuple[int, ...] | None


def softmax(x: Array, axis: Axis) -> Array:
    """e^x / sum(e^x) along the axes."""
    powers = np.exp(_below_peak(x, axis))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def softmax_grad(g: Array, out: Array, axis: Axis) -> Array:
    """The gradient of x from that of out = softmax(x)."""
    return out * (g - np.sum(g * out, axis=axis, keepdims=True))


def log_softmax(x: Array, axis: Axis) -> Array:
    """log(softmax(x)) along the axes, without rounding small probabilities to 0."""
    shifted = _below_peak(x, axis)
    with np.errstate(divide="ignore"):  # log 0 = -inf where the axis is empty
        return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def log_softmax_grad(g: Array, out: Array, axis: Axis) -> Array:
    """The gradient of x from that of out = log_softmax(x)."""
    return g - np.exp(out) * np.sum(g, axis=axis, keepdims=True)


def _below_peak(x: Array, axis: Axis) -> Array:
    """x less its largest element along the axes: at most 0."""
    with np.errstate(invalid="ignore"):
        return x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)


def softmax_cross_entropy(logits: Array, target: Array, reduction: str) -> tuple[Any, Array]:
    """-log(softmax(logits)[target]) and softmax(logits), which the gradient needs.

    Arguments:
        logits: (N, C) or (C,). target: class numbers (N,) or (). reduction: "mean" over N, "sum" or "none".

    Raises:
        ValueError: a class is not in 0..C-1.
    """
    if target.size and not (target.min() >= 0 and target.max() < logits.shape[-1]):
        raise ValueError("a class is out of range")
    scores = log_softmax(logits, -1)
    losses = -np.take_along_axis(scores, target[..., None], axis=-1)[..., 0]
    return losses if reduction == "none" else getattr(np, reduction)(losses), np.exp(scores)


def softmax_cross_entropy_grad(g: Array, probabilities: Array, target: Array, reduction: str) -> Array:
    """The gradient of the logits from that of the loss: g (probabilities - the one of the target)."""
    d = probabilities.copy()
    np.put_along_axis(d, target[..., None], np.take_along_axis(d, target[..., None], -1) - 1, axis=-1)
    if reduction == "mean" and d.ndim == 2:
        return d * (g / d.dtype.type(len(d)))
    return d * (g[..., None] if reduction == "none" else g)
