"""Adagrad: steps divided by the size of all gradients that a weight has seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nn._checks import number
from nn.optim.optimizer import Array, Optimizer, remembered


class Adagrad(Optimizer):
    """p <- p - lr' g / (sqrt(s) + eps), with the sum s <- s + g^2 and lr' = lr / (1 + (t - 1) lr_decay) at step t.

    With weight_decay, g + weight_decay p stands for g.

    Arguments:
        params: the tensors to optimize, or a list of groups {"params": tensors, "lr": ...}.
        lr: the learning rate, > 0. lr_decay, weight_decay, eps: >= 0. initial_accumulator_value: s at the start, >= 0.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn, tensorgraph as tg
        >>> w = nn.Parameter([1.0])
        >>> (w * w).sum().backward()
        >>> nn.optim.Adagrad([w], lr=0.25).step()
        >>> w.detach()
        tensor([0.75])

    Source: Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic optimization", 2011;
    PyTorch's torch.optim.Adagrad.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        options = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay}
        options |= {"initial_accumulator_value": initial_accumulator_value, "eps": eps}
        super().__init__(params, self._checked(options))

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        at_least_0 = ("lr_decay", "weight_decay", "initial_accumulator_value", "eps")
        return {
            "lr": number(self, "lr", options["lr"], 0.0, bounds="(]"),
            **{name: number(self, name, options[name], 0.0) for name in at_least_0},
        }

    def _update(self, value: Array, gradient: Array, state: dict[str, Any], group: dict[str, Any]) -> None:
        if group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * value
        sum_ = remembered(state, "sum", value, group["initial_accumulator_value"])
        sum_ += gradient * gradient
        root = np.sqrt(sum_)
        root += group["eps"]
        age = state.get("step", 0)
        value -= group["lr"] / (1 + age * group["lr_decay"]) * gradient / root
        state["step"] = age + 1
