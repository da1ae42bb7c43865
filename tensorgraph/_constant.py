"""Functions whose results carry no gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgraph._arguments import describe, refusal, unexpected
from tensorgraph._context import located, public_kind
from tensorgraph._primitive import OPERANDS
from tensorgraph._tape import Traced
from tensorgraph.errors import ShapeError


def constant(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function whose result carries no gradient (labels, masks, positions): its calls are not recorded."""

    @functools.wraps(forward)
    def call(*args: Any, **options: Any) -> Any:
        kinds = [type(arg) for arg in args if isinstance(arg, Traced)]
        arrays = [arg._array if isinstance(arg, Traced) else arg for arg in args]
        try:
            out = forward(*arrays, **options)
        except Exception as error:
            kind, text = public_kind(error), unexpected(error, forward)
            if kind is None:
                raise
            strange = [i for i, arg in enumerate(args) if not isinstance(arg, OPERANDS[:-1])]
            if strange:
                kind, text = TypeError, refusal("xyz"[strange[0]], args[strange[0]])
            elif "broadcast" in text:
                kind, text = ShapeError, f"{describe(list('xyz'[: len(arrays)]), arrays)} do not broadcast"
            raise located(kind, forward.__name__, text).with_traceback(error.__traceback__) from None
        return kinds[0]._wrap(np.array(out)) if kinds else out

    return call
