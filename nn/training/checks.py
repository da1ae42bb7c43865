"""Checks of what a trainer is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nn.module import Module
from nn.optim import Optimizer, ReduceLROnPlateau, Schedule


def checked_pair(model: Any, optimizer: Any) -> tuple[Module, Optimizer]:
    """A model and an optimizer of it."""
    if not isinstance(model, Module):
        raise TypeError(f"Trainer: model must be an nn.Module, got {type(model).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"Trainer: optimizer must be an optimizer of nn.optim, got {type(optimizer).__name__}")
    learned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if learned.isdisjoint(map(id, model.parameters())):
        raise ValueError("Trainer: the optimizer has none of the model's parameters; was the model made anew since?")
    return model, optimizer


def checked_list(name: str, values: Any, kind: type) -> list[Any]:
    """A list of such things; one of them may stand for a list of it."""
    values = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else [values]
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"Trainer: {name} must be a list of nn.training.{kind.__name__}s, got {value!r}")
    return values


def checked_schedule(schedule: Any, optimizer: Optimizer) -> Schedule | ReduceLROnPlateau | None:
    """A schedule of that optimizer, or None."""
    if schedule is None:
        return None
    if not isinstance(schedule, (Schedule, ReduceLROnPlateau)):
        raise TypeError(f"Trainer: schedule must be a schedule of nn.optim, got {type(schedule).__name__}")
    if schedule.optimizer is not optimizer:
        raise ValueError("Trainer: schedule must be one of the same optimizer, got one of another")
    return schedule
