"""The steps of the optimizers, compiled: one call for all parameters, if all are dense float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import extension
from tensorgraph.kernels.reference.update import Call
from tensorgraph.kernels.reference.windows import Array

_native: Any = extension


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
    if _native.takes(values, gradients, sums):
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
    if _native.takes(values, gradients, means, squares):
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
