"""What it costs that recorded values cannot change: a training step of LeNet-5 with the protection and without it.

    python benchmarks/value_safety.py [--quick]

Without the protection (docs/tape.md) nothing is copied and no reference is counted: tensors are made of the very arrays
they are given, `t.data` hands out the array itself, and operations keep whatever they are called with. Steps with and
without take turns on one model; the cost is the median of the ratios of neighbours.
"""

import argparse
import contextlib
import importlib
import statistics
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

import nn
import tensorgraph as tg
from networks import lenet5
from tensorgraph import _primitive, _tape

BATCH = 128


def trusted(t: _tape.Traced) -> Any:
    """In place of writable, expose and keepable."""
    return t._array


@contextlib.contextmanager
def unprotected() -> Iterator[None]:
    """Turn the protection off: whoever writes to an array that the tape holds gets a wrong gradient, and no word."""

    tensor = importlib.import_module("tensorgraph.tensor")  # the module; tg.tensor is the function

    def own(self: Any, i: int, value: Any, *_: Any) -> Any:
        return value

    def as_array(data: Any, dtype: Any = None) -> Any:
        return np.asarray(data, dtype)

    with (
        mock.patch.object(_primitive, "keepable", trusted),
        mock.patch.object(_primitive.Primitive, "_own", own),
        mock.patch.object(tensor, "expose", trusted),
        mock.patch.object(tensor, "writable", trusted),
        mock.patch.object(tensor, "as_array", as_array),
    ):
        yield


class Training:
    """A model, its optimizer, and one batch of noise."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.images = rng.random((BATCH, 1, 32, 32), dtype=np.float32)
        self.labels = rng.integers(0, 10, BATCH)
        self.model = lenet5(nn)
        self.optimizer = nn.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.loss = nn.CrossEntropyLoss()

    def step(self) -> float:
        """Seconds of one step, from arrays to new parameters."""
        start = time.perf_counter()
        self.optimizer.zero_grad()
        self.loss(self.model(tg.tensor(self.images)), self.labels).backward()
        self.optimizer.step()
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it works")
    pairs = 3 if parser.parse_args().quick else 100
    training = Training()
    safe: list[float] = []
    bare: list[float] = []
    ratios: list[float] = []
    for i in range(pairs + 1):
        for protected in (True, False) if i % 2 else (False, True):  # nobody always comes first
            with contextlib.nullcontext() if protected else unprotected():
                (safe if protected else bare).append(training.step())
        if i:  # the first pair warms up
            ratios.append(safe[-1] / bare[-1])
    print(f"LeNet-5, batch of {BATCH}, {pairs} pairs of steps, medians")
    print(f"with the protection     {1e3 * statistics.median(safe):7.2f} ms")
    print(f"without the protection  {1e3 * statistics.median(bare):7.2f} ms")
    print(f"cost                    {100 * (statistics.median(ratios) - 1):+7.2f} %")


if __name__ == "__main__":
    main()
