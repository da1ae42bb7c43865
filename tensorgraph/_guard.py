"""What users' functions are given: views that cannot be written to, because the tape holds the arrays.

The library's own functions never write to what they are given, and are called as they are: they are called often.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgraph._context import LIBRARY


def guarded(function: Callable[..., Any], refusal: str, nothing: str | None = None) -> Callable[..., Any]:
    """A user's function on views of its arrays that NumPy does not write to; one of the library's as it is.

    Arguments:
        function: any. refusal: what to say if it tries to write. nothing: what to say if it returns None, which is
            allowed where this is None.
    """
    if getattr(function, "__module__", "").partition(".")[0] in LIBRARY:
        return function

    @functools.wraps(function)
    def on_views(*args: Any, **options: Any) -> Any:
        try:
            out = function(*map(_view, args), **options)
        except ValueError as error:
            if "read-only" not in str(error) or getattr(error, "_located", False):
                raise
            raise ValueError(f"{refusal} ({error})").with_traceback(error.__traceback__) from None
        if out is None and nothing is not None:
            raise TypeError(nothing)
        return out

    return on_views


def _view(value: Any) -> Any:
    """An array as a view of it that cannot be written to; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
