"""What operations ask of their arrays: floats of one type, with the axes that letters name."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph._tape import Traced
from tensorgraph.errors import ShapeError

REFUSALS = (AttributeError, LookupError, TypeError, ValueError)
"""What kernels raise, and what leads to them, for arguments that do not fit. Operations that are called often look for
what is wrong only then, to say it well."""


def operand(x: Any) -> Any:
    """A tensor or an array as it is; a number or a list as an array."""
    return x if isinstance(x, (Traced, np.ndarray)) else np.asarray(x)


def check_images(x: Any, letters: str = "(N, C, H, W)", channels: int | None = None) -> None:
    """Raise unless x holds floats and has these axes; `channels` is how many it should have, if that is known."""
    check_floats("x", x)
    if (missing := letters.count(",") + 1 - len(x.shape)) == 0:
        return
    if missing == 1 and channels == 1 and x.shape[0] != 1:
        fix = f"; add a channel axis with x.reshape{(x.shape[0], 1, *x.shape[1:])}"
    elif missing == 1:
        fix = f"; add a batch axis with x.reshape{(1, *x.shape)}"
    elif missing == 2 and len(x.shape) > 1:
        fix = f"; add a batch and a channel axis with x.reshape{(1, 1, *x.shape)}"
    else:
        fix = ""
    raise ShapeError(f"x must have {letters.count(',') + 1} axes {letters}, got shape {x.shape}{fix}")


def check_filters(w: Any, x: Any, letters: str) -> None:
    """Raise unless x and w hold floats of one type and w has these axes, none of them empty."""
    check_floats("x", x)
    check_floats("w", w)
    check_same_type("w", w, x)
    if len(w.shape) != letters.count(",") + 1:
        raise ShapeError(f"w must have {letters.count(',') + 1} axes {letters}, got shape {w.shape}")
    if 0 in w.shape:
        raise ShapeError(f"w of shape {w.shape} is empty; every axis of {letters} needs at least 1 element")


def check_bias(b: Any, x: Any, channels: int) -> None:
    """Raise unless b is None or one float of x's type for each output channel."""
    if b is None:
        return
    check_floats("b", b)
    check_same_type("b", b, x)
    if b.shape != (channels,):
        raise ShapeError(f"b must have shape ({channels},), one number for each output channel, got shape {b.shape}")


def check_floats(name: str, array: Any) -> None:
    """Raise unless the array holds floats."""
    dtype = getattr(array, "dtype", None)
    if dtype is None:
        raise TypeError(f"{name} must be a tensor or an array, got {type(array).__name__}")
    if dtype.kind != "f":
        raise TypeError(f'{name} must hold floats, got {dtype}; convert it with {name}.astype("float32")')


def check_same_type(name: str, array: Any, x: Any) -> None:
    """Raise unless the array has x's type."""
    if array.dtype != x.dtype:
        raise TypeError(f'x is {x.dtype} and {name} is {array.dtype}; convert one, as with x.astype("{array.dtype}")')
