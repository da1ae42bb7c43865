"""Stochastic gradient descent, with momentum if wished."""

from __future__ import annotations

from collections.abc import Iterable
from operator import setitem
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import number
from nn.optim.optimizer import Optimizer, remembered


class SGD(Optimizer):
    """p <- p - lr d, where d = g + weight_decay p, or with momentum its running sum.

    v <- momentum v + (1 - dampening) d, v = d at the first step; then d is v, or d + momentum v with nesterov.

    Arguments:
        params: the tensors to optimize, or a list of groups {"params": tensors, "lr": ...}.
        lr: the learning rate, > 0. momentum, dampening, weight_decay: >= 0.
        nesterov: look ahead; needs a momentum and no dampening.
        lr_in_momentum: AlexNet's rule, where each gradient keeps the learning rate of its step: v <- momentum v + lr d,
            from v = 0, and p <- p - v. The same as without while the rate is constant. Needs a momentum, no dampening
            and no nesterov.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn, tensorgraph as tg
        >>> w = nn.Parameter([1.0])
        >>> (w * w).sum().backward()
        >>> nn.optim.SGD([w], lr=0.1).step()
        >>> w.detach()
        tensor([0.8])

    Source: PyTorch's torch.optim.SGD; Sutskever et al., "On the importance of initialization and momentum in deep
    learning", 2013; for lr_in_momentum Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional
    neural networks", 2012, section 5.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        lr_in_momentum: bool = False,
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "lr_in_momentum": lr_in_momentum,
        }
        super().__init__(params, self._checked(options))

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        checked = {
            "lr": number(self, "lr", options["lr"], 0.0, bounds="(]"),
            "momentum": number(self, "momentum", options["momentum"], 0.0),
            "dampening": number(self, "dampening", options["dampening"], 0.0),
            "weight_decay": number(self, "weight_decay", options["weight_decay"], 0.0),
            "nesterov": bool(options["nesterov"]),
            "lr_in_momentum": bool(options["lr_in_momentum"]),
        }
        if checked["nesterov"] and (checked["momentum"] == 0 or checked["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov needs a momentum greater than 0 and no dampening, "
                f"got momentum = {checked['momentum']} and dampening = {checked['dampening']}"
            )
        if checked["lr_in_momentum"] and (checked["momentum"] == 0 or checked["dampening"] or checked["nesterov"]):
            raise ValueError(
                "SGD: lr_in_momentum needs a momentum greater than 0, no dampening and no nesterov, got momentum = "
                f"{checked['momentum']}, dampening = {checked['dampening']} and nesterov = {checked['nesterov']}"
            )
        return checked

    def _calls(self, params: list[Any], group: dict[str, Any]) -> list[tg.updates.Call]:
        options = group.copy()
        del options["params"]
        if options.pop("lr_in_momentum"):  # v <- momentum v + lr d and p <- p - v, in the words of the rule above
            sums = [remembered(self.state.setdefault(p, {}), "momentum_buffer", p) for p in params]
            return tg.updates.sgd(params, sums, **options | {"lr": 1.0, "dampening": 1.0 - options["lr"]})
        if not options["momentum"]:
            return tg.updates.sgd(params, **options)
        try:
            return tg.updates.sgd(params, [self.state[p]["momentum_buffer"] for p in params], **options)
        except KeyError:
            pass  # some take their first step
        fresh = [p for p in params if "momentum_buffer" not in self.state.get(p, ())]
        known = [p for p in params if "momentum_buffer" in self.state.get(p, ())]
        sums = [self.state[p]["momentum_buffer"] for p in known]
        calls = tg.updates.sgd(known, sums, **options)
        sums = [np.empty(p.shape, p.dtype) for p in fresh]
        calls += tg.updates.sgd(fresh, sums, **options, fresh=True)
        return calls + [(setitem, self.state, p, {"momentum_buffer": v}) for p, v in zip(fresh, sums, strict=True)]
