"""What the kernels run with: threads, the instruction set, memory that is kept for the next array."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from tensorgraph.kernels._choice import extension, problem, settings

_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_threads = min(_cores, 256)
if extension is not None:
    extension.set_num_threads(_threads)


class Switch:
    """Allow or forbid something, from now on or inside a `with` block. Everybody's, in all threads."""

    owner: Any  # where the attribute `name` says whether it is allowed
    name: str

    def __init__(self, allowed: bool) -> None:
        self._before = getattr(self.owner, self.name)
        setattr(self.owner, self.name, bool(allowed))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        setattr(self.owner, self.name, self._before)


class winograd(Switch):  # noqa: N801 (a function that is also a context manager)
    """Allow or forbid Winograd's algorithm, from now on or inside a `with` block. Everybody's, in all threads.

    Where it is allowed, as it is at first, the native kernels compute convolutions with many channels, and filters of
    3x3 or 5x5 taps, with up to 4 times fewer products. With a stride S, filters may be S times as large: pixels whose
    places leave the same remainder by S are a channel of their own. It rounds more than the plain sum: errors stay
    below 4e-6 of the largest value, where those of the sum stay below 1e-6. An infinite or NaN pixel spreads to the
    outputs of the tiles that see it, 4x4 of them each.

    Arguments:
        allowed: whether.

    Example:
        >>> import tensorgraph as tg
        >>> x, w = tg.ones(1, 32, 8, 8), tg.ones(32, 32, 3, 3)
        >>> with tg.winograd(False):
        ...     tg.conv2d(x, w)[0, 0, 0, 0].item()
        288.0

    Source: Lavin, Gray, "Fast algorithms for convolutional neural networks", 2016.
    """

    owner, name = settings, "winograd"


def set_num_threads(n: int) -> None:
    """Let the native kernels use so many threads. NumPy's own product, which the reference kernels use, has its own:
    OPENBLAS_NUM_THREADS in the environment says how many. On cores that have other work too, 1 is by far the fastest.

    Arguments:
        n: 1 to 256; at first it is the number of cores that this process may use.

    Raises:
        TypeError, ValueError: n is no such number.

    Example:
        >>> import tensorgraph as tg
        >>> before = tg.get_num_threads()
        >>> tg.set_num_threads(1)
        >>> tg.get_num_threads()
        1
        >>> tg.set_num_threads(before)
    """
    global _threads
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"set_num_threads: n must be an integer, got {type(n).__name__}")
    if not 1 <= n <= 256:
        raise ValueError(f"set_num_threads: n must be 1 to 256, got {n}")
    _threads = int(n)
    if extension is not None:
        extension.set_num_threads(_threads)


def get_num_threads() -> int:
    """How many threads the native kernels may use."""
    return _threads if extension is None else extension.num_threads()


def empty_cache() -> None:
    """Give the memory that native kernels keep for their next results back to the system."""
    if extension is not None:
        extension.empty_cache()


def show_config() -> dict[str, Any]:
    """Print which kernels run and with what; returns the same as a dictionary.

    Returns:
        kernels: "native" or "reference" (NumPy's). reason: why the native ones do not run, "" if they do. isa: the
        instruction set that they use, of those in isas. threads. cache_bytes: memory kept for the next results, at
        most cache_limit_bytes. python, numpy: their versions.

    Example:
        >>> import tensorgraph as tg
        >>> config = tg.show_config()
        kernels: ...
        >>> config["kernels"] in ("native", "reference")
        True
    """
    held, limit = (0, 0) if extension is None else extension.cache()
    config = {
        "kernels": "reference" if extension is None else "native",
        "reason": problem,
        "isa": None if extension is None else extension.isa(),
        "isas": [] if extension is None else extension.isas(),
        "threads": get_num_threads(),
        "cache_bytes": held,
        "cache_limit_bytes": limit,
        "python": sys.version.partition(" ")[0],
        "numpy": np.__version__,
    }
    sys.stdout.write("".join(f"{name}: {value}\n" for name, value in config.items() if value not in ("", None, [])))
    return config
