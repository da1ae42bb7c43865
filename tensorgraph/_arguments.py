"""The arguments of a call: as the tape may keep them, and in the words of messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np


def plain(value: Any, alone: bool) -> Any:
    """An argument of a call without tensors: lists, and a number alone, as arrays."""
    return (
        np.asarray(value) if isinstance(value, (list, tuple)) or (alone and isinstance(value, (int, float))) else value
    )


UNCHANGING = frozenset({int, float, bool, str, type(None)})  # types of most options


def frozen(option: Any) -> Any:
    """An option as the tape may keep it: lists and arrays copied, so that nobody can change them later."""
    kind = type(option)
    if kind is list:
        return list(map(frozen, option))
    if kind is tuple:
        try:
            hash(option)
        except TypeError:  # something in it can change
            return tuple(map(frozen, option))
        return option
    return option.copy() if isinstance(option, np.ndarray) else option


def _kind(value: object) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def refusal(name: str, value: object) -> str:
    return f"{name} must be a tensor, an array or a number, got {_kind(value)}"


_FROM_PYTORCH = {"dim": "axis", "dims": "axis", "keepdim": "keepdims"}


def unexpected(error: object, function: Callable[..., Any]) -> str:
    """Python's words about an argument that the function does not have, in ours; other words as they are."""
    text = str(error)
    if not inspect.isfunction(function) or f"{function.__qualname__}() got an unexpected keyword" not in text:
        return text
    name, known = text.split("'")[1], list(inspect.signature(function).parameters)
    ours = _FROM_PYTORCH.get(name)
    fix = f"it is called {ours}" if ours in known else f"its arguments are {', '.join(known)}"
    return f"has no argument {name!r}; {fix}"


def describe(names: list[str], arrays: Any) -> str:
    """The arguments of a call in words: "x of shape (2, 3) and y = 2.0"."""
    words = [
        f"{name} of shape {array.shape}" if isinstance(array, np.ndarray) else f"{name} = {array!r}"
        for name, array in zip(names, arrays, strict=True)
    ]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def check_brackets(decorator: str, gate: Any) -> None:
    """That a decorator which takes a gate was not given the function."""
    if callable(gate):
        raise TypeError(
            f'{decorator}: the gate is missing; write @tg.extend.{decorator}(gate="function"), with brackets'
        )
