"""The arguments of a call: as the tape may keep them, and in the words of messages."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(value: Any, alone: bool) -> Any:
    """An argument of a call without tensors: lists, and a number alone, as arrays."""
    return (
        np.asarray(value) if isinstance(value, (list, tuple)) or (alone and isinstance(value, (int, float))) else value
    )


def frozen(option: Any) -> Any:
    """An option as the tape may keep it: lists and arrays copied, so that nobody can change them later."""
    if isinstance(option, (list, tuple)):
        return type(option)(map(frozen, option)) if type(option) in (list, tuple) else option
    return option.copy() if isinstance(option, np.ndarray) else option


def _kind(value: object) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__


def refusal(name: str, value: object) -> str:
    return f"{name} must be a tensor, an array or a number, got {_kind(value)}"


def describe(names: list[str], arrays: Any) -> str:
    """The arguments of a call in words: "x of shape (2, 3) and y = 2.0"."""
    words = [
        f"{name} of shape {array.shape}" if isinstance(array, np.ndarray) else f"{name} = {array!r}"
        for name, array in zip(names, arrays, strict=True)
    ]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
