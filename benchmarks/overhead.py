"""What recording costs: microseconds an operation in a chain of 4x4 additions, beside NumPy and PyTorch.

    python benchmarks/overhead.py [--quick]

The arithmetic of a 4x4 addition is next to nothing, so what is left is the overhead of the framework. The contenders
take turns in one process; each figure is the median of the repetitions. PyTorch takes part if it is installed.
"""

import argparse
import gc
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgraph as tg

Timed = Callable[[int], tuple[float, ...]]  # runs a chain of n additions, returns the seconds of each of its phases


def chain(x: Any, y: Any, n: int) -> Any:
    for _ in range(n):
        x = x + y
    return x


def numpy_chain(n: int) -> tuple[float, ...]:
    x = np.ones((4, 4), np.float32)
    start = time.perf_counter()
    chain(x, x, n)
    return (time.perf_counter() - start,)


def tensorgraph_chain(n: int) -> tuple[float, ...]:
    x = tg.ones(4, 4, requires_grad=True)
    return phases(x, tg.ones(4, 4), tg.ones(4, 4), n)


def torch_chain(n: int) -> tuple[float, ...]:
    import torch

    return phases(torch.ones(4, 4, requires_grad=True), torch.ones(4, 4), torch.ones(4, 4), n)


def phases(x: Any, y: Any, upstream: Any, n: int) -> tuple[float, ...]:
    """Seconds forward, backward (the walk, and the release of what it used), and for the graph's end."""
    start = time.perf_counter()
    out = chain(x, y, n)
    recorded = time.perf_counter()
    out.backward(upstream)
    walked = time.perf_counter()
    del out
    gone = time.perf_counter()
    return recorded - start, walked - recorded, gone - walked


def measure(contenders: dict[str, Timed], n: int, repetitions: int) -> dict[str, list[float]]:
    """The median seconds of each phase of each contender; they take turns, after one turn to warm up."""
    turns: dict[str, list[tuple[float, ...]]] = {name: [] for name in contenders}
    for turn in range(repetitions + 1):
        for name, run in contenders.items():
            seconds = run(n)
            if turn:
                turns[name].append(seconds)
    return {name: [statistics.median(phase) for phase in zip(*seconds, strict=True)] for name, seconds in turns.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short chain, to see that it works")
    quick = parser.parse_args().quick
    n, repetitions = (1_000, 3) if quick else (100_000, 7)
    contenders: dict[str, Timed] = {"NumPy": numpy_chain, "tensorgraph": tensorgraph_chain}
    if importlib.util.find_spec("torch"):
        contenders["PyTorch"] = torch_chain
        importlib.import_module("torch")
    gc.freeze()  # what was imported is nobody's garbage: PyTorch's many objects would slow the others' collections
    print(f"{n:,} additions of 4x4 arrays, median of {repetitions}, microseconds an addition")
    print(f"{'':12}{'forward':>10}{'backward':>10}{'the end':>10}")
    for name, seconds in measure(contenders, n, repetitions).items():
        print(f"{name:12}" + "".join(f"{1e6 * s / n:10.2f}" for s in seconds))


if __name__ == "__main__":
    main()
