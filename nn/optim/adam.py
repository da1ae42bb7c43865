"""Adam: steps of a size that adapts to each weight."""

from __future__ import annotations

from collections.abc import Iterable
from operator import setitem
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import number
from nn.optim.optimizer import Optimizer


class Adam(Optimizer):
    """p <- p - lr m' / (sqrt(v') + eps), with running means of the gradient and of its square.

    m <- beta1 m + (1 - beta1) g, v <- beta2 v + (1 - beta2) g^2; both start at 0, which m' = m / (1 - beta1^t) and
    v' = v / (1 - beta2^t) make up for at step t. With weight_decay, g + weight_decay p stands for g.

    Arguments:
        params: the tensors to optimize, or a list of groups {"params": tensors, "lr": ...}.
        lr: the learning rate, > 0. betas: (beta1, beta2), each in [0, 1). eps, weight_decay: >= 0.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn, tensorgraph as tg
        >>> w = nn.Parameter([1.0])
        >>> (w * w).sum().backward()
        >>> nn.optim.Adam([w], lr=0.25).step()
        >>> w.detach()
        tensor([0.75])

    Source: Kingma, Ba, "Adam: a method for stochastic optimization", 2015; PyTorch's torch.optim.Adam.
    """

    _decoupled = False  # whether weights decay by themselves, and not through their gradients

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, self._checked({"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}))

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        betas = options["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{self._name}: betas must be a pair (beta1, beta2), got {betas!r}")
        return {
            "lr": number(self, "lr", options["lr"], 0.0, bounds="(]"),
            "betas": tuple(number(self, f"betas[{i}]", beta, 0.0, 1.0, bounds="[)") for i, beta in enumerate(betas)),
            "eps": number(self, "eps", options["eps"], 0.0),
            "weight_decay": number(self, "weight_decay", options["weight_decay"], 0.0),
        }

    def _calls(self, params: list[Any], group: dict[str, Any]) -> list[tg.updates.Call]:
        options = group.copy()
        del options["params"]
        by_age: dict[int, list[Any]] = {}  # parameters without a gradient now and then are younger than the others
        states = {}
        for p in params:
            state = self.state.get(p)
            if not state:
                zeros = np.zeros(p.shape, p.dtype)
                state = {"step": 0, "exp_avg": zeros, "exp_avg_sq": zeros.copy()}
            states[p] = state
            by_age.setdefault(state["step"], []).append(p)
        calls = []
        for age, same in by_age.items():
            means, squares = ([states[p][name] for p in same] for name in ("exp_avg", "exp_avg_sq"))
            calls += tg.updates.adam(same, means, squares, step=age + 1, **options, decoupled=self._decoupled)
            calls += [(setitem, states[p], "step", age + 1) for p in same]
        return calls + [(setitem, self.state, p, state) for p, state in states.items()]


class AdamW(Adam):
    """`Adam` with weights that decay by themselves: p <- (1 - lr weight_decay) p first, and g stays g.

    Arguments, errors: as `Adam`; weight_decay is 0.01 if not given.

    Example:
        >>> import nn, tensorgraph as tg
        >>> w = nn.Parameter([1.0])
        >>> (w * w).sum().backward()
        >>> nn.optim.AdamW([w], lr=0.25, weight_decay=0.5).step()
        >>> w.detach()
        tensor([0.625])

    Source: Loshchilov, Hutter, "Decoupled weight decay regularization", 2019; PyTorch's torch.optim.AdamW.
    """

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
