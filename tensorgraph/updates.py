"""The steps of optimizers, for all their tensors at once: in place, and compiled where that is possible.

The tensors are leaves with gradients. A step changes their values as `t.data[...] = ...` does: never a graph that was
recorded before. What a step remembers, the state, are arrays of the shapes and types of the tensors.

`sgd` and `adam` prepare a step, `apply` takes it: whole, even if the user stops the program at that very moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import starmap
from operator import call
from typing import Any

from tensorgraph import kernels
from tensorgraph._tape import Array, Traced, writable

__all__ = ["Call", "adam", "apply", "sgd"]

Call = tuple[Any, ...]  # a function and its arguments


def apply(calls: Iterable[Call]) -> None:
    """Make the calls of which one or several steps consist: all of them, or none if the program is interrupted.

    Python raises KeyboardInterrupt, and whatever else a signal's handler raises, only between two lines of Python. Here
    compiled code makes one call after the other; if all are calls of compiled functions, as those of `sgd` and `adam`
    are, there is no place in between.

    Arguments:
        calls: tuples of a function and its arguments.

    Raises:
        ValueError: a compiled step has refused its arrays.

    Example:
        >>> import tensorgraph as tg
        >>> u, w = (tg.tensor([x], requires_grad=True) for x in (1.0, 2.0))
        >>> (u * w).backward()
        >>> tg.updates.apply(tg.updates.sgd([u], lr=0.1) + tg.updates.sgd([w], lr=0.2))
        >>> u.detach(), w.detach()
        (tensor([0.8]), tensor([1.8]))
    """
    if False in list(starmap(call, calls)):
        raise ValueError("updates: the arrays of a step do not fit each other")


def _values_and_gradients(tensors: Sequence[Traced]) -> tuple[list[Array], list[Array]]:
    return [writable(t) for t in tensors], [t._grad._array for t in tensors]


def sgd(
    tensors: Sequence[Any],
    sums: Sequence[Array] | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    fresh: bool = False,
) -> list[Call]:
    """One step of stochastic gradient descent: t <- t - lr d, where d = g + weight_decay t.

    With sums and a momentum: v <- momentum v + (1 - dampening) d; then d is v, or d + momentum v with nesterov.

    Arguments:
        tensors: leaves with gradients g. sums: the running sums v, one array for each, changed in place.
        fresh: this is the first step: v becomes d, whatever it was.

    Returns:
        The calls of which the step consists, for `apply`. The arrays must be left alone until then.

    Example:
        >>> import tensorgraph as tg
        >>> w = tg.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tg.updates.apply(tg.updates.sgd([w], lr=0.1))
        >>> w.detach()
        tensor([0.8])
    """
    values, gradients = _values_and_gradients(tensors)
    return kernels.sgd(
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
    tensors: Sequence[Any],
    means: Sequence[Array],
    squares: Sequence[Array],
    *,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> list[Call]:
    """One step of Adam: t <- t - lr m' / (sqrt(v') + eps), with m' = m / (1 - beta1^step), v' = v / (1 - beta2^step).

    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2.

    Arguments:
        tensors: leaves with gradients g. means, squares: the running means m and v, which start at 0, one array for
            each; changed in place. step: 1, 2, ... betas: (beta1, beta2).
        weight_decay: weight_decay t is added to the gradient. decoupled: instead, lr weight_decay t is taken from t
            first (AdamW).

    Returns:
        The calls of which the step consists, for `apply`. The arrays must be left alone until then.

    Example:
        >>> import numpy as np, tensorgraph as tg
        >>> w = tg.tensor([1.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> mean, square = np.zeros((2, 1), np.float32)
        >>> tg.updates.apply(tg.updates.adam([w], [mean], [square], step=1, lr=0.25))
        >>> w.detach()
        tensor([0.75])
    """
    values, gradients = _values_and_gradients(tensors)
    return kernels.adam(
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
