"""Checks of the settings of layers, optimizers and others: errors name the class, the argument and the value."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

import tensorgraph as tg

_AMOUNT = {0: "0 or more", 1: "positive"}


def _name(owner: object) -> str:
    """Of a class for one of its objects; of a function as it is."""
    return owner if isinstance(owner, str) else type(owner).__name__


Init = TypeVar("Init", bound=Callable[..., None])


def for_the_caller(init: Init) -> Init:
    """An `__init__` that several classes share: errors about its arguments name the class that was called."""
    signature = inspect.signature(init)
    known = ", ".join([*signature.parameters][1:])

    @wraps(init)
    def checked(self: Any, *arguments: Any, **options: Any) -> None:
        try:
            signature.bind(self, *arguments, **options)
        except TypeError as error:
            name = _name(self)
            if any(isinstance(argument, (tg.Tensor, np.ndarray)) for argument in arguments):
                inputs = ", ".join(inspect.signature(self.forward).parameters)
                raise TypeError(f"{name}: create it first, f = nn.{name}(), and call it then, f({inputs})") from None
            raise TypeError(f"{name}: {error}; its arguments are {known}") from None
        init(self, *arguments, **options)

    return checked  # type: ignore[return-value]  # it takes what init takes


def count(owner: object, name: str, value: Any, least: int = 1) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{_name(owner)}: {name} must be an integer, got {value!r}")
    if value < least:
        raise tg.ShapeError(f"{_name(owner)}: {name} must be {_AMOUNT[least]}, got {value}")
    return int(value)


def flag(owner: object, name: str, value: Any) -> bool:
    """True or False: a word would count as True, "False" too."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{_name(owner)}: give {name}=True or {name}=False, got {value!r}")
    return bool(value)


def sizes(owner: object, name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for each of the axes, spelled as one for all or as a sequence."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(values) != axes:
        spelling = "an integer" if axes == 1 else "an integer or a pair (height, width)"
        raise tg.ShapeError(f"{_name(owner)}: {name} must be {spelling}, got {value!r}")
    return tuple(count(owner, name, v, least) for v in values)


def number(owner: object, name: str, value: Any, low: float, high: float = math.inf, *, bounds: str = "[]") -> float:
    """A finite number between low and high; `bounds` says which of them count as inside, as in "[)"."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{_name(owner)}: {name} must be a number, got {value!r}")
    above = value >= low if bounds[0] == "[" else value > low
    below = value <= high if bounds[1] == "]" else value < high
    if not (above and below and math.isfinite(value)):
        if high < math.inf:
            allowed = f"lie in {bounds[0]}{low:g}, {high:g}{bounds[1]}"
        else:
            allowed = f"be {'at least' if bounds[0] == '[' else 'greater than'} {low:g} and finite"
        raise ValueError(f"{_name(owner)}: {name} must {allowed}, got {value!r}")
    return float(value)


def choice(owner: object, name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of the words allowed."""
    if value not in allowed:
        words = ", ".join(f'"{word}"' for word in allowed)
        raise ValueError(f"{_name(owner)}: {name} must be one of {words}, got {value!r}")
    return str(value)
