"""The steps of the optimizers: lists of arrays, of which the values and the state are changed in place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tensorgraph.kernels.reference.windows import Array


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
) -> None:
    """p <- p - lr d, where d = g + weight_decay p; or with momentum its running sum v.

    v <- momentum v + (1 - dampening) d, or d if `fresh`; then d is v, or d + momentum v with nesterov.
    """
    for i, (value, d) in enumerate(zip(values, gradients, strict=True)):
        if weight_decay:
            d = d + weight_decay * value
        if sums is not None and momentum:
            v = sums[i]
            if fresh:
                v[...] = d
            else:
                v *= momentum
                v += (1 - dampening) * d
            d = d + momentum * v if nesterov else v
        value -= lr * d


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
) -> None:
    """p <- p - lr m' / (sqrt(v') + eps), with running means m of the gradient and v of its square.

    The means start at 0, which m' = m / (1 - beta1^step) and v' = v / (1 - beta2^step) make up for. weight_decay p is
    added to the gradient; or, if `decoupled`, lr weight_decay p is taken from p before.
    """
    beta1, beta2 = betas
    for value, g, m, v in zip(values, gradients, means, squares, strict=True):
        if weight_decay and decoupled:
            value *= 1 - lr * weight_decay
        elif weight_decay:
            g = g + weight_decay * value
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        root = np.sqrt(v)
        root /= math.sqrt(1 - beta2**step)
        root += eps
        value -= lr / (1 - beta1**step) * m / root
