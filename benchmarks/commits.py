"""Two commits of tensorgraph side by side: training steps of the networks, in milliseconds.

    python benchmarks/commits.py [A] [B] [--only NETWORK] [--quick] [--threads 2]

A (HEAD if not given) and B (".") are anything that git calls a commit, or "." for the files as they lie here. Each
commit is checked out and compiled in a temporary folder, and trains in a process of its own; the two processes take
turns. Compiling needs setuptools: pip install -e ".[bench]".

With --quick nothing is compiled: both run the NumPy kernels, on small batches of two networks.
"""

import argparse
import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import report
import tensorgraph as tg
import timing
from networks import BY_NAME, OURS, Training

BUILD = "setup.py -q build_ext --inplace"


@contextlib.contextmanager
def checked_out(commit: str, compiled: bool) -> Iterator[Path]:
    """A folder with the files of the commit, its kernels compiled; "." is this checkout, compiled as it is."""
    if commit == ".":
        yield timing.ROOT
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "tree")
        timing.git("worktree", "add", "--quiet", "--detach", str(folder), commit)
        try:
            if compiled and (folder / "setup.py").exists():  # the first commits are all Python
                timing.progress(f"compiling {commit}")
                subprocess.run([sys.executable, *BUILD.split()], cwd=folder, check=True)
            yield folder
        finally:
            timing.git("worktree", "remove", "--force", str(folder))


class Worker:
    """A process that trains with the tensorgraph of a folder, a turn whenever it is told to."""

    def __init__(self, folder: Path, threads: int) -> None:
        code = f"import commits; commits.work({str(folder)!r}, {threads})"
        self.process = timing.fresh(code, folders=(folder, Path(__file__).parent), stdin=subprocess.PIPE)

    def turn(self, network: str, batch: int, seconds: float) -> timing.Seconds:
        assert self.process.stdin
        assert self.process.stdout
        print(network, batch, seconds, sep="\t", file=self.process.stdin, flush=True)
        if not (answer := self.process.stdout.readline()):
            raise RuntimeError(f"the process ended: {self.process.args!r}")
        return (float(answer),)


def work(folder: str, threads: int) -> None:
    """What a worker's process runs: it reads names of networks, and writes the median seconds of a step."""
    if not Path(str(tg.__file__)).is_relative_to(folder):
        raise ImportError(f"tensorgraph of {folder} expected, got {tg.__file__}")
    timing.use_threads(threads)
    trainings: dict[str, Training] = {}
    for line in sys.stdin:
        name, batch, seconds = line.rstrip("\n").split("\t")
        if name not in trainings:
            trainings = {name: Training(BY_NAME[name], OURS, int(batch))}  # the one before is done
        print(*timing.turn(trainings[name].step, float(seconds))(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", nargs="?", default="HEAD", metavar="A")
    parser.add_argument("b", nargs="?", default=".", metavar="B")
    parser.add_argument("--only", choices=BY_NAME, metavar="NETWORK", help=", ".join(BY_NAME))
    parser.add_argument("--quick", action="store_true", help="the NumPy kernels, to see that it works")
    parser.add_argument("--threads", type=int, default=2, help="for both (2)")
    options = parser.parse_args()
    timing.use_threads(options.threads)
    names = [options.only] if options.only else [*BY_NAME]
    rounds, seconds = 15, 0.05
    if options.quick:
        os.environ["TENSORGRAPH_KERNELS"] = "reference"
        names, rounds, seconds = names[:2], 1, 0.0
    lines = []
    with contextlib.ExitStack() as stack:
        folders = {
            f"{key}: {commit}": stack.enter_context(checked_out(commit, not options.quick))
            for key, commit in (("A", options.a), ("B", options.b))
        }
        workers = {name: Worker(folder, options.threads) for name, folder in folders.items()}
        for worker in workers.values():
            stack.callback(worker.process.communicate)  # the end of what it reads ends it
        for name in names:
            timing.progress(name)
            batch = 2 if options.quick else BY_NAME[name].batch
            turns = {key: functools.partial(worker.turn, name, batch, seconds) for key, worker in workers.items()}
            times = timing.take_turns(turns, rounds)
            a, b = times.values()
            milliseconds = [report.figure(1e3 * timing.medians(x)[0]) for x in (a, b)]
            lines.append([name, batch, *milliseconds, *report.spread(timing.ratio(a, b))])
    timing.progress("")
    print(report.markdown(["network", "batch", *(f"{name}, ms" for name in workers), "A / B", "quartiles"], lines))


if __name__ == "__main__":
    main()
