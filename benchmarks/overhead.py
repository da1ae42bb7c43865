"""What recording costs: microseconds an operation in a chain of 4x4 additions, beside NumPy and PyTorch.

    python benchmarks/overhead.py [--quick]

The arithmetic of a 4x4 addition is next to nothing, so what is left is the overhead of the framework. The contenders
take turns in one process; each figure is the median of the repetitions. PyTorch takes part if it is installed.
"""

import argparse
import functools
import gc
import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgraph as tg
import timing

Chain = Callable[[int], timing.Seconds]  # runs n additions, returns the seconds of each of its phases


def chain(x: Any, y: Any, n: int) -> Any:
    for _ in range(n):
        x = x + y
    return x


def numpy_chain(n: int) -> timing.Seconds:
    x = np.ones((4, 4), np.float32)
    start = time.perf_counter()
    chain(x, x, n)
    return (time.perf_counter() - start,)


def tensorgraph_chain(n: int) -> timing.Seconds:
    x = tg.ones(4, 4, requires_grad=True)
    return phases(x, tg.ones(4, 4), tg.ones(4, 4), n)


def torch_chain(n: int) -> timing.Seconds:
    import torch

    return phases(torch.ones(4, 4, requires_grad=True), torch.ones(4, 4), torch.ones(4, 4), n)


def phases(x: Any, y: Any, upstream: Any, n: int) -> timing.Seconds:
    """Seconds forward, backward (the walk, and the release of what it used), and for the graph's end."""
    start = time.perf_counter()
    out = chain(x, y, n)
    recorded = time.perf_counter()
    out.backward(upstream)
    walked = time.perf_counter()
    del out
    gone = time.perf_counter()
    return recorded - start, walked - recorded, gone - walked


def contenders() -> dict[str, Chain]:
    """Who takes part, imported."""
    found: dict[str, Chain] = {"NumPy": numpy_chain, "tensorgraph": tensorgraph_chain}
    if importlib.util.find_spec("torch"):
        found["PyTorch"] = torch_chain
        importlib.import_module("torch")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short chain, to see that it works")
    quick = parser.parse_args().quick
    n, repetitions = (1_000, 3) if quick else (100_000, 7)
    chains = {name: functools.partial(chain, n) for name, chain in contenders().items()}
    gc.freeze()  # what was imported is nobody's garbage: PyTorch's many objects would slow the others' collections
    print(f"{n:,} additions of 4x4 arrays, median of {repetitions}, microseconds an addition")
    print(f"{'':12}{'forward':>10}{'backward':>10}{'the end':>10}")
    for name, times in timing.take_turns(chains, repetitions).items():
        print(f"{name:12}" + "".join(f"{1e6 * s / n:10.2f}" for s in timing.medians(times)))


if __name__ == "__main__":
    main()
