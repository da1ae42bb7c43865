"""The softmax family along the last axis and the cross-entropy of class numbers, compiled for float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import FLOAT32, extension
from tensorgraph.kernels.reference.linear import rows
from tensorgraph.kernels.reference.softmax import Axis
from tensorgraph.kernels.reference.windows import Array

_native: Any = extension
_INT64 = np.dtype(np.int64)
_REDUCTIONS = {"none": 0, "sum": 1, "mean": 2}


def _takes(x: Array, axis: Axis) -> bool:
    return x.dtype == FLOAT32 and x.ndim > 0 and (axis == -1 or axis == x.ndim - 1)


def softmax(x: Array, axis: Axis) -> Array:
    return _native.softmax(rows(x)).reshape(x.shape) if _takes(x, axis) else reference.softmax(x, axis)


def softmax_grad(g: Array, out: Array, axis: Axis) -> Array:
    if not _takes(out, axis):
        return reference.softmax_grad(g, out, axis)
    return _native.softmax_grad(rows(g), rows(out)).reshape(out.shape)


def log_softmax(x: Array, axis: Axis) -> Array:
    return _native.log_softmax(rows(x)).reshape(x.shape) if _takes(x, axis) else reference.log_softmax(x, axis)


def log_softmax_grad(g: Array, out: Array, axis: Axis) -> Array:
    if not _takes(out, axis):
        return reference.log_softmax_grad(g, out, axis)
    return _native.log_softmax_grad(rows(g), rows(out)).reshape(out.shape)


def softmax_cross_entropy(logits: Array, target: Array, reduction: str) -> tuple[Any, Array]:
    if logits.dtype != FLOAT32:
        return reference.softmax_cross_entropy(logits, target, reduction)
    if logits.ndim == 1:
        out, probabilities = softmax_cross_entropy(logits[None], target.reshape(1), "sum")
        return out, probabilities[0]
    count = target.size if reduction == "none" else 1
    out, probabilities = _native.softmax_cross_entropy(logits, _classes(target), count, _REDUCTIONS[reduction])
    return out if reduction == "none" else out[0], probabilities


def softmax_cross_entropy_grad(g: Array, probabilities: Array, target: Array, reduction: str) -> Array:
    if probabilities.dtype != FLOAT32:
        return reference.softmax_cross_entropy_grad(g, probabilities, target, reduction)
    out = _native.softmax_cross_entropy_grad(
        g.reshape(-1), rows(probabilities), _classes(target), g.size, _REDUCTIONS[reduction]
    )
    return out if probabilities.ndim == 2 else out[0]


def _classes(target: Array) -> Array:
    """Class numbers as the compiled code wants them: those that do not fit become negative, which it refuses."""
    return target if target.ndim == 1 and target.dtype == _INT64 else target.reshape(-1).astype(_INT64)
