"""The steps of the optimizers, compiled: one call for all parameters, if all are dense float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import extension
from tensorgraph.kernels.reference.update import Call
from tensorgraph.kernels.reference.windows import Array

_native: Any = extension
_FLOAT32 = np.dtype(np.float32)


def _taken(gradients: Sequence[Array], *changed: Sequence[Array]) -> bool:
    """Whether the compiled step takes the arrays: float32 all, and dense what it writes to."""
    shapes = [g.shape for g in gradients]
    return all(g.dtype == _FLOAT32 for g in gradients) and all(
        [a.shape for a in arrays] == shapes and all(a.dtype == _FLOAT32 and a.flags.carray for a in arrays)
        for arrays in changed
    )


def sgd(
    values: Sequence[Array],
    gradients: Sequence[Array],
    sums: Sequence[Array] | None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    fresh: bool,
) -> list[Call]:
    if _taken(gradients, values, values if sums is None else sums):
        return [(_native.sgd, values, gradients, sums, lr, momentum, 1 - dampening, weight_decay, nesterov, fresh)]
    return reference.sgd(
        values,
        gradients,
        sums,
        lr=lr,
        momentum=momentum,
        dampening=dampening,
        weight_decay=weight_decay,
        nesterov=nesterov,
        fresh=fresh,
    )


def adam(
    values: Sequence[Array],
    gradients: Sequence[Array],
    means: Sequence[Array],
    squares: Sequence[Array],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> list[Call]:
    if _taken(gradients, values, means, squares):
        rate, root_scale = lr / (1 - betas[0] ** step), 1 / math.sqrt(1 - betas[1] ** step)
        decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
        numbers = (rate, 1 - betas[0], betas[1], 1 - betas[1], root_scale, eps, decay, shrink)
        return [(_native.adam, values, gradients, means, squares, *numbers)]
    return reference.adam(
        values,
        gradients,
        means,
        squares,
        step=step,
        lr=lr,
        betas=betas,
        eps=eps,
        weight_decay=weight_decay,
        decoupled=decoupled,
    )
