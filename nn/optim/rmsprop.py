"""RMSprop: steps divided by the recent size of each weight's gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nn._checks import number
from nn.optim.optimizer import Array, Optimizer, remembered


class RMSprop(Optimizer):
    """p <- p - lr g / (sqrt(v) + eps), with a running mean v <- alpha v + (1 - alpha) g^2 that starts at 0.

    With weight_decay, g + weight_decay p stands for g. If centered, the variance v - m^2 stands for v, where m is the
    running mean of g. With momentum, b <- momentum b + g / (sqrt(v) + eps) and p <- p - lr b.

    Arguments:
        params: the tensors to optimize, or a list of groups {"params": tensors, "lr": ...}.
        lr: the learning rate, > 0. alpha: in [0, 1). eps, weight_decay, momentum: >= 0. centered: divide by the
            standard deviation.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn, tensorgraph as tg
        >>> w = nn.Parameter([1.0])
        >>> (w * w).sum().backward()
        >>> nn.optim.RMSprop([w], lr=0.25, alpha=0.75).step()
        >>> w.detach()
        tensor([0.5])

    Source: Tieleman, Hinton, "Neural networks for machine learning", lecture 6.5, 2012; PyTorch's torch.optim.RMSprop.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, self._checked({**options, "centered": centered}))

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": number(self, "lr", options["lr"], 0.0, bounds="(]"),
            "alpha": number(self, "alpha", options["alpha"], 0.0, 1.0, bounds="[)"),
            "eps": number(self, "eps", options["eps"], 0.0),
            "weight_decay": number(self, "weight_decay", options["weight_decay"], 0.0),
            "momentum": number(self, "momentum", options["momentum"], 0.0),
            "centered": bool(options["centered"]),
        }

    def _update(self, value: Array, gradient: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        alpha = group["alpha"]
        if group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * value
        square = remembered(state, "square_avg", value)
        square *= alpha
        square += (1 - alpha) * gradient * gradient
        if group["centered"]:
            mean = remembered(state, "grad_avg", value)
            mean += (1 - alpha) * (gradient - mean)
            root = np.sqrt(np.maximum(square - mean * mean, 0))  # rounding may give less than 0
        else:
            root = np.sqrt(square)
        root += group["eps"]
        step = gradient / root
        if group["momentum"]:
            sum_ = remembered(state, "momentum_buffer", value)
            sum_ *= group["momentum"]
            sum_ += step
            step = sum_
        value -= group["lr"] * step
