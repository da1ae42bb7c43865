"""The steps of the optimizers, as lists of calls still to be made.

A step changes many arrays, and a user's Ctrl-C may come between any two of them. So everything that can be computed
before is computed before, and what remains are calls of compiled functions: whoever makes them all from compiled code,
where Python does not look for signals, takes the step whole or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import setitem
from typing import Any

import numpy as np

from tensorgraph.kernels.reference.windows import Array

Call = tuple[Any, ...]  # a function and its arguments


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
    """p <- p - lr d, where d = g + weight_decay p; or with momentum its running sum v.

    v <- momentum v + (1 - dampening) d, or d if `fresh`; then d is v, or d + momentum v with nesterov.
    """
    calls: list[Call] = []
    for i, (value, d) in enumerate(zip(values, gradients, strict=True)):
        if weight_decay:
            d = d + weight_decay * value
        if sums is not None and momentum:
            v = d if fresh else momentum * sums[i] + (1 - dampening) * d
            calls.append((setitem, sums[i], ..., v))
            d = d + momentum * v if nesterov else v
        calls.append((setitem, value, ..., value - lr * d))
    return calls


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
    """p <- p - lr m' / (sqrt(v') + eps), with running means m of the gradient and v of its square.

    The means start at 0, which m' = m / (1 - beta1^step) and v' = v / (1 - beta2^step) make up for. weight_decay p is
    added to the gradient; or, if `decoupled`, lr weight_decay p is taken from p before.
    """
    beta1, beta2 = betas
    calls: list[Call] = []
    for value, g, m, v in zip(values, gradients, means, squares, strict=True):
        start = value
        if weight_decay and decoupled:
            start = value * (1 - lr * weight_decay)
        elif weight_decay:
            g = g + weight_decay * value
        new_m = m + (1 - beta1) * (g - m)
        new_v = beta2 * v + (1 - beta2) * g * g
        root = np.sqrt(new_v) / math.sqrt(1 - beta2**step) + eps
        new = start - lr / (1 - beta1**step) * new_m / root
        calls += [(setitem, m, ..., new_m), (setitem, v, ..., new_v), (setitem, value, ..., new)]
    return calls
