"""The schedule that waits: the rate is divided when a figure has stopped getting better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nn._checks import choice, count, number
from nn.optim.optimizer import Optimizer
from nn.optim.schedule import checked_optimizer, for_each_group, loaded


class ReduceLROnPlateau:
    """lr <- max(factor lr, min_lr) when a figure was no better than its best for more than `patience` steps.

    Arguments:
        optimizer: whose rates it sets. mode: "min" for figures such as a loss, "max" for such as an accuracy.
        factor: in (0, 1). patience, cooldown: numbers of steps; in the cooldown after a reduction none are counted.
        threshold, threshold_mode: what counts as better, a difference of threshold times the best ("rel") or of
            threshold itself ("abs"). min_lr: a number, or one for each group. eps: smaller changes are not made.

    Attributes:
        best: the best figure. num_bad_epochs: how many steps ago. last_epoch: how many steps were made.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn
        >>> optimizer = nn.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> schedule = nn.optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for validation_loss in (3.0, 2.0, 2.5, 2.5, 1.0):
        ...     schedule.step(validation_loss)
        ...     print(schedule.get_last_lr()[0], end=" ")
        1.0 1.0 1.0 0.5 0.5

    Source: PyTorch's torch.optim.lr_scheduler.ReduceLROnPlateau; course, section 3: the learning rate divided by 10
    when validation stalls.
    """

    every = "epoch"

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = checked_optimizer(self, optimizer)
        self.mode = choice(self, "mode", mode, ("min", "max"))
        self.factor = number(self, "factor", factor, 0.0, 1.0, bounds="()")
        self.patience = count(self, "patience", patience, 0)
        self.threshold = number(self, "threshold", threshold, 0.0)
        self.threshold_mode = choice(self, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.cooldown = count(self, "cooldown", cooldown, 0)
        self.min_lrs = for_each_group(self, "min_lr", min_lr, optimizer, "[]")
        self.eps = number(self, "eps", eps, 0.0)
        self.best = math.inf if self.mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0

    def step(self, metrics: Any) -> None:
        """Look at the figure of one more epoch, a number or a tensor of one."""
        figure = float(metrics)
        self.last_epoch += 1
        if self._better(figure):
            self.best, self.num_bad_epochs = figure, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _better(self, figure: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            return sign * figure > sign * self.best + self.threshold
        return sign * figure > sign * self.best * (1 + sign * self.threshold)

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            reduced = max(group["lr"] * self.factor, least)
            if group["lr"] - reduced > self.eps:
                group["lr"] = reduced

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What changes with time: the settings are not in it, and the rates are the optimizer's."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from the state of a schedule with the same settings; the rates come with the optimizer's state.

        Raises:
            ValueError: the state does not fit. Nothing has changed then.
        """
        vars(self).update(loaded(self, state_dict, _STATE))


_STATE: dict[str, type] = {"best": float, "num_bad_epochs": int, "cooldown_counter": int, "last_epoch": int}
