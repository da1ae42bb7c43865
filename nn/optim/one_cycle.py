"""The one-cycle schedule: the rate goes up and far down again, the momentum down and up."""

from __future__ import annotations

import math
from typing import Any

from nn._checks import choice, count, number
from nn.optim.optimizer import Optimizer
from nn.optim.schedule import Schedule, checked_optimizer, for_each_group


class OneCycleLR(Schedule):
    """From max_lr / div_factor up to max_lr, then down to max_lr / (div_factor final_div_factor), a batch a step.

    The momentum, or beta1 of Adam, goes from max_momentum to base_momentum and back meanwhile.

    Arguments:
        optimizer: whose rates it sets. max_lr, base_momentum, max_momentum: a number, or one for each group.
        total_steps: how long it takes; or epochs and steps_per_epoch, of which it is the product.
        pct_start: the share of the way up, in [0, 1]. anneal_strategy: along a half "cos" wave, or "linear".
        cycle_momentum: False leaves the momentum alone. div_factor, final_div_factor: > 0.
        three_phase: come down as long as it went up, and then further down.

    Raises:
        TypeError, ValueError: an argument is impossible; `step` was called more than total_steps times.

    Example:
        >>> import nn
        >>> optimizer = nn.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0, momentum=0.9)
        >>> schedule = nn.optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=5, pct_start=0.6, div_factor=4)
        >>> for _ in range(5):
        ...     print(round(schedule.get_last_lr()[0], 4), round(optimizer.param_groups[0]["momentum"], 4), end=", ")
        ...     schedule.step()
        0.25 0.95, 0.625 0.9, 1.0 0.85, 0.5 0.9, 0.0 0.95,

    Source: Smith, Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018;
    PyTorch's torch.optim.lr_scheduler.OneCycleLR.
    """

    every = "step"

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        checked_optimizer(self, optimizer)
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("OneCycleLR: needs total_steps, or epochs and steps_per_epoch")
        if total_steps is None:
            total_steps = count(self, "epochs", epochs) * count(self, "steps_per_epoch", steps_per_epoch)
        self.total_steps = count(self, "total_steps", total_steps)
        self.pct_start = number(self, "pct_start", pct_start, 0.0, 1.0)
        self.anneal_strategy = choice(self, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.div_factor = number(self, "div_factor", div_factor, 0.0, bounds="(]")
        self.final_div_factor = number(self, "final_div_factor", final_div_factor, 0.0, bounds="(]")
        self.three_phase = three_phase
        self.momenta: list[tuple[float, float]] = []
        if cycle_momentum:
            if not {"momentum", "betas"} & set(optimizer.defaults):
                name = type(optimizer).__name__
                raise ValueError(f"OneCycleLR: {name} has no momentum to cycle; use cycle_momentum=False")
            lowest = for_each_group(self, "base_momentum", base_momentum, optimizer, "[]")
            highest = for_each_group(self, "max_momentum", max_momentum, optimizer, "[]")
            self.momenta = list(zip(lowest, highest, strict=True))
        rates = for_each_group(self, "max_lr", max_lr, optimizer, "(]")
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate / self.div_factor
        super().__init__(optimizer)

    def _rate(self, base: float, steps: int) -> float:
        top, bottom = base * self.div_factor, base / self.final_div_factor
        return self._between([base, top, base, bottom] if self.three_phase else [base, top, bottom], steps)

    def _set_rates(self) -> None:
        if self.last_epoch > self.total_steps:
            raise ValueError(f"OneCycleLR: step {self.last_epoch} of a schedule of {self.total_steps} steps")
        super()._set_rates()
        for group, (low, high) in zip(self.optimizer.param_groups, self.momenta, strict=bool(self.momenta)):
            turns = [high, low, high, high] if self.three_phase else [high, low, high]
            momentum = self._between(turns, self.last_epoch)
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def _between(self, turns: list[float], steps: int) -> float:
        """The number after so many steps on the way from one turn to the next."""
        up = self.pct_start * self.total_steps
        ends = [up - 1, 2 * up - 2, self.total_steps - 1] if self.three_phase else [up - 1, self.total_steps - 1]
        phase = next((i for i, end in enumerate(ends) if steps <= end), len(ends) - 1)
        start, end = 0.0 if phase == 0 else ends[phase - 1], ends[phase]
        share = (steps - start) / (end - start) if end > start else 1.0
        if self.anneal_strategy == "linear":
            return turns[phase] + (turns[phase + 1] - turns[phase]) * share
        return turns[phase + 1] + (turns[phase] - turns[phase + 1]) * (1 + math.cos(math.pi * share)) / 2
