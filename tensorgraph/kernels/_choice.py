"""Which kernels run: the compiled ones if they are there, the NumPy ones if not or if the environment says so."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import numpy as np

KINDS = ("native", "reference")
# That a kernel applies to its result while it is at hand; kernels.h has the same.
ACTIVATIONS = {"none": 0, "relu": 1, "tanh": 2, "sigmoid": 3}
FLOAT32 = np.dtype(np.float32)  # what the compiled kernels take
LARGE = 16384  # elements from which two threads, and memory that is used again, pay for themselves
_NOT_COMPILED = "they were not compiled when the package was installed; is a C++20 compiler there?"


def _load() -> tuple[ModuleType | None, str]:
    """The extension module, or None and why."""
    kind = os.environ.get("TENSORGRAPH_KERNELS", "")
    if kind not in ("", *KINDS):
        raise ValueError(f"TENSORGRAPH_KERNELS must be {' or '.join(KINDS)}, got {kind!r}")
    if kind == "reference":
        return None, "TENSORGRAPH_KERNELS=reference"
    try:
        native = importlib.import_module("tensorgraph.kernels._native")
    except ImportError as error:
        problem = _NOT_COMPILED if isinstance(error, ModuleNotFoundError) else str(error)
        if kind == "native":
            raise ImportError(f"TENSORGRAPH_KERNELS=native, but there are no native kernels: {problem}") from None
        return None, problem
    if isa := os.environ.get("TENSORGRAPH_ISA"):
        if isa not in native.isas():
            raise ValueError(f"TENSORGRAPH_ISA must be one of {', '.join(native.isas())} here, got {isa!r}")
        native.choose_isa(isa)
    return native, ""


extension, problem = _load()


class settings:  # noqa: N801 (one namespace for all, not a class to make objects of)
    """What the user allows the kernels."""

    winograd = True
