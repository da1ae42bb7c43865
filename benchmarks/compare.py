"""tensorgraph beside PyTorch: training steps, convolution layers, overhead, memory and import.

    python benchmarks/compare.py [--quick] [--only networks|layers|kernels|overhead|memory|import] [--json FILE]
        [--threads 2]

Both train the same networks from the same weights on the same noise, with the same number of threads, and take turns in
one process; a ratio is the median of the ratios of neighbours in time. PyTorch is measured in both of its memory
layouts, and the better one counts. Without PyTorch only our figures are printed. How to read the tables:
docs/performance.md.
"""

import argparse
import functools
import gc
import importlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import networks
import overhead
import report
import timing
from networks import BY_HAND, OURS, THEIRS

Row = dict[str, Any]

IMPORTS = {"NumPy": "numpy", OURS: "tensorgraph, nn", THEIRS[0]: "torch"}


class Comparison:
    """One run: who takes part, and how long."""

    def __init__(self, quick: bool, threads: int) -> None:
        self.quick = quick
        self.threads = threads
        theirs = THEIRS[:1] if quick else THEIRS
        self.names = (OURS, *theirs) if importlib.util.find_spec("torch") else (OURS,)
        self.rounds = 1 if quick else 15

    def networks(self) -> list[Row]:
        """Training steps: forward, loss, backward, SGD with momentum."""
        rows = []
        for network in following("training steps", networks.NETWORKS):
            batch = 2 if self.quick else network.batch
            trainings = networks.trainings(network, self.names, batch)
            steps = {name: training.step for name, training in trainings.items()}
            if network.name == "perceptron":  # where the arithmetic is least, what would no framework at all cost?
                steps[BY_HAND] = networks.by_hand(trainings[OURS]).step
            measured = self._measured(steps)
            rows.append({"name": network.name, "batch": batch, "goal": network.goal, **measured(0)})
        return rows

    def layers(self) -> list[Row]:
        """Convolution layers: the forward pass, and the gradients of the images, the filters and the bias."""
        rows = []
        for whole in following("convolution layers", networks.LAYERS):
            layer = whole._replace(n=1) if self.quick else whole
            convolutions = {name: networks.Convolution(layer, name) for name in self.names}
            measured = self._measured({name: convolution.step for name, convolution in convolutions.items()})
            phases = {"forward": measured(0), "backward": measured(1)}
            rows.append({"name": layer.name, "gflop": layer.gflop, "goal": layer.goal, **phases})
        return rows

    def kernels(self) -> list[Row]:
        """A training step on the compiled kernels and on the NumPy ones, in new processes in turn."""
        timing.progress("kernels")
        network = networks.BY_NAME["Keras convnet"]
        batch, seconds = (2, 0.01) if self.quick else (network.batch, 2.0)
        steps = {
            kind: functools.partial(timing.answer, networks.step_on(kind, network.name, batch, seconds, self.threads))
            for kind in ("native", "reference")
        }
        times, others = timing.watched(steps, 1 if self.quick else 5)
        return [
            {
                "name": network.name,
                "batch": batch,
                "goal": 10.0,
                "others": others,
                "milliseconds": {kind: 1e3 * timing.medians(found)[0] for kind, found in times.items()},
                "ratio": timing.ratio(times["reference"], times["native"]),
            }
        ]

    def overhead(self) -> list[Row]:
        """What recording costs: microseconds an addition of 4x4 arrays in a chain (goal: 2.5 forward, 2.0 backward)."""
        timing.progress("overhead")
        gc.collect()
        n, rounds = (1_000, 1) if self.quick else (100_000, 7)
        chains = {name: functools.partial(run, n) for name, run in overhead.contenders().items()}
        times, others = timing.watched(chains, rounds)
        return [
            {"name": name, "others": others, "microseconds": [1e6 * s / n for s in timing.medians(seconds)]}
            for name, seconds in times.items()
        ]

    def memory(self) -> list[Row]:
        """The most memory of three steps above that of the imported library, each in a new process (goal: not more)."""
        rows = []
        for network in following("memory", networks.NETWORKS[:1] if self.quick else networks.NETWORKS):
            batch = 1 if self.quick else network.batch
            code = f"import networks; print(networks.peak_memory({network.name!r}, %r, {batch}))"
            found = {name: timing.answer(code % name) for name in self.names}
            rows.append({"name": network.name, "batch": batch, "mebibytes": found})
        return rows

    def import_(self) -> list[Row]:
        """Seconds to import a library in a new process, and MiB resident after it (goal: 0.10 s, 40 MiB)."""
        code = (
            "import time; start = time.perf_counter(); import {modules}; seconds = time.perf_counter() - start; "
            "import timing; print([seconds, timing.mebibytes('VmRSS')])"
        )
        known = {name: module for name, module in IMPORTS.items() if name in ("NumPy", *self.names)}
        imports = {name: functools.partial(timing.answer, code.format(modules=m)) for name, m in known.items()}
        timing.progress("import")
        times, others = timing.watched(imports, 1 if self.quick else 7)
        medians = {name: timing.medians(seconds) for name, seconds in times.items()}
        return [
            {"name": name, "others": others, "seconds": s, "mebibytes": size} for name, (s, size) in medians.items()
        ]

    def _measured(self, steps: dict[str, timing.Timed]) -> Callable[[int], Row]:
        """Let the steps take turns; returns what was found of a phase: medians, and the ratio to PyTorch's best."""
        turns = steps if self.quick else {name: timing.turn(step, 0.05) for name, step in steps.items()}
        times, others = timing.watched(turns, self.rounds)

        def phase(i: int) -> Row:
            milliseconds = {name: 1e3 * timing.medians(seconds)[i] for name, seconds in times.items()}
            theirs = [name for name in self.names if name != OURS]
            if not theirs:
                return {"others": others, "milliseconds": milliseconds}
            best = min(theirs, key=milliseconds.__getitem__)
            return {"others": others, "milliseconds": milliseconds, "ratio": timing.ratio(times[best], times[OURS], i)}

        return phase


SECTIONS = {
    "networks": Comparison.networks,
    "layers": Comparison.layers,
    "kernels": Comparison.kernels,
    "overhead": Comparison.overhead,
    "memory": Comparison.memory,
    "import": Comparison.import_,
}


def following(what: str, items: Sequence[Any]) -> Iterator[Any]:
    """The items, each announced; what the one before has left is cleared away."""
    for number, item in enumerate(items, 1):
        timing.progress(f"{what} {number}/{len(items)}: {item.name}")
        gc.collect()
        yield item


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small batches and one round, to see that it works")
    parser.add_argument("--only", choices=SECTIONS, help="one of the tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file, too")
    parser.add_argument("--threads", type=int, help="for everybody (2; with --quick 1: the machine may be busy)")
    options = parser.parse_args()
    threads = options.threads or (1 if options.quick else 2)
    timing.use_threads(threads)
    comparison = Comparison(options.quick, threads)
    if len(comparison.names) > 1:
        importlib.import_module("torch").set_num_threads(threads)
    gc.freeze()  # what was imported is nobody's garbage: PyTorch's many objects would slow the others' collections
    results: dict[str, Any] = {"facts": timing.facts(threads)}
    print(report.facts(results["facts"]))
    for name in [options.only] if options.only else SECTIONS:
        results[name] = SECTIONS[name](comparison)
        timing.progress("")
        print(f"\n## {SECTIONS[name].__doc__}\n\n{report.TABLES[name](results[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
