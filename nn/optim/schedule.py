"""Schedules: learning rates that change with the number of steps, one `step()` an epoch or a batch."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from nn._checks import count, number
from nn.optim.optimizer import Optimizer


class Schedule:
    """The base of the schedules: the rates are those given to the optimizer times a factor of the number of steps.

    A schedule sets the rates when it is made and at each `step()`, from that number alone: to combine two, hand one to
    the other (`LinearWarmup`), for the last one called decides.

    Attributes:
        base_lrs: the learning rates of the groups when the schedule was made. last_epoch: how many steps were made.
        every: what a `nn.Trainer` takes for a step if it is not told, an "epoch" or a "step" of the optimizer.
    """

    every = "epoch"

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = checked_optimizer(self, optimizer)
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set_rates()

    def _rate(self, base: float, steps: int) -> float:
        """The learning rate after so many steps of a group that began with `base`."""
        raise NotImplementedError(f"{type(self).__name__}: define _rate(self, base, steps)")

    def _set_rates(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self._rate(base, self.last_epoch)

    def step(self) -> None:
        """Go on by one: call it after `optimizer.step()`, once an epoch or once a batch as the schedule counts."""
        self.last_epoch += 1
        self._set_rates()

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What changes with time: the settings are not in it."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from the state of a schedule with the same settings; sets the rates.

        Raises:
            ValueError: the state does not fit. Nothing has changed then.
        """
        state = loaded(self, state_dict, {"last_epoch": int, "base_lrs": list})
        if len(state["base_lrs"]) != len(self.base_lrs):
            got = len(state["base_lrs"])
            raise ValueError(f"{type(self).__name__}.load_state_dict: expected {len(self.base_lrs)} groups, got {got}")
        vars(self).update(state)
        self._set_rates()


def checked_optimizer(owner: object, optimizer: Any) -> Optimizer:
    """The optimizer, if it is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(owner).__name__}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
    return optimizer


def for_each_group(owner: object, name: str, value: Any, optimizer: Optimizer, bounds: str) -> list[float]:
    """One number of at least 0 for each group, spelled as one for all or as a list."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{type(owner).__name__}: {name} must be a number or {groups}, one a group, got {value!r}")
    return [number(owner, name, v, 0.0, bounds=bounds) for v in values]


def loaded(owner: object, state_dict: Any, types: dict[str, type]) -> dict[str, Any]:
    """The entries of a saved state in their types."""
    try:
        return {name: kind(state_dict[name]) for name, kind in types.items()}
    except (KeyError, TypeError, ValueError) as error:
        name = type(owner).__name__
        raise ValueError(f"{name}.load_state_dict: not the state of such a schedule: {error!r}") from None


class StepLR(Schedule):
    """lr = base gamma^floor(t / step_size): times gamma every step_size steps.

    Arguments:
        optimizer: whose rates it sets. step_size: at least 1. gamma: > 0.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn
        >>> optimizer = nn.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> schedule = nn.optim.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> for _ in range(5):
        ...     print(schedule.get_last_lr()[0], end=" ")
        ...     schedule.step()
        1.0 1.0 0.5 0.5 0.25

    Source: PyTorch's torch.optim.lr_scheduler.StepLR.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count(self, "step_size", step_size)
        self.gamma = number(self, "gamma", gamma, 0.0, bounds="(]")
        super().__init__(optimizer)

    def _rate(self, base: float, steps: int) -> float:
        return base * self.gamma ** (steps // self.step_size)


class MultiStepLR(Schedule):
    """lr = base gamma^k, where k is the number of milestones that were reached.

    Arguments:
        optimizer: whose rates it sets. milestones: numbers of steps, in any order. gamma: > 0.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn
        >>> optimizer = nn.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> schedule = nn.optim.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
        >>> for _ in range(5):
        ...     print(schedule.get_last_lr()[0], end=" ")
        ...     schedule.step()
        1.0 0.5 0.5 0.25 0.25

    Source: PyTorch's torch.optim.lr_scheduler.MultiStepLR.
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        if not isinstance(milestones, Iterable):
            raise TypeError(f"MultiStepLR: milestones must be integers in a list, got {milestones!r}")
        self.milestones = sorted(count(self, "milestones", m, 0) for m in milestones)
        self.gamma = number(self, "gamma", gamma, 0.0, bounds="(]")
        super().__init__(optimizer)

    def _rate(self, base: float, steps: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, steps)


class ExponentialLR(Schedule):
    """lr = base gamma^t.

    Arguments:
        optimizer: whose rates it sets. gamma: > 0.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn
        >>> optimizer = nn.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> schedule = nn.optim.ExponentialLR(optimizer, gamma=0.5)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]

    Source: PyTorch's torch.optim.lr_scheduler.ExponentialLR.
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = number(self, "gamma", gamma, 0.0, bounds="(]")
        super().__init__(optimizer)

    def _rate(self, base: float, steps: int) -> float:
        return base * self.gamma**steps


class CosineAnnealingLR(Schedule):
    """lr = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2: down to eta_min in T_max steps, then up again.

    Arguments:
        optimizer: whose rates it sets. T_max: at least 1. eta_min: >= 0.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn
        >>> optimizer = nn.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> schedule = nn.optim.CosineAnnealingLR(optimizer, T_max=2)
        >>> for _ in range(3):
        ...     print(round(schedule.get_last_lr()[0], 6), end=" ")
        ...     schedule.step()
        1.0 0.5 0.0

    Source: Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017; PyTorch's
    torch.optim.lr_scheduler.CosineAnnealingLR.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803 (PyTorch's name)
        self.T_max = count(self, "T_max", T_max)
        self.eta_min = number(self, "eta_min", eta_min, 0.0)
        super().__init__(optimizer)

    def _rate(self, base: float, steps: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * steps / self.T_max)) / 2


class LinearWarmup(Schedule):
    """lr = base min(1, (t + 1) / warmup_steps): the rate rises to base, and then stays or follows another schedule.

    Arguments:
        optimizer: whose rates it sets. warmup_steps: at least 1. after: the schedule of the same optimizer that begins
            when the rate is up, and is asked for the rates from then on; do not call its `step`.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn
        >>> optimizer = nn.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        >>> schedule = nn.optim.LinearWarmup(optimizer, 4, after=nn.optim.ExponentialLR(optimizer, 0.5))
        >>> for _ in range(7):
        ...     print(schedule.get_last_lr()[0], end=" ")
        ...     schedule.step()
        0.25 0.5 0.75 1.0 1.0 0.5 0.25

    Source: Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
    """

    every = "step"

    def __init__(self, optimizer: Optimizer, warmup_steps: int, after: Schedule | None = None) -> None:
        self.warmup_steps = count(self, "warmup_steps", warmup_steps)
        if not isinstance(after, (Schedule, type(None))):
            raise TypeError(f"LinearWarmup: after must be a schedule, got {type(after).__name__}")
        if after is not None and after.optimizer is not optimizer:
            raise ValueError("LinearWarmup: after must be a schedule of the same optimizer, got one of another")
        self.after = after
        super().__init__(optimizer)
        if after is not None:
            self.base_lrs = after.base_lrs
            self._set_rates()

    def _rate(self, base: float, steps: int) -> float:
        full = base if self.after is None else self.after._rate(base, max(0, steps - self.warmup_steps))
        return full * min(1.0, (steps + 1) / self.warmup_steps)
