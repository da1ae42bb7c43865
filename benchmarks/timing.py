"""What the benchmarks share: contenders that take turns, ratios of neighbours, and the facts of a run."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import importlib.metadata
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read once, when the library is loaded

Seconds = tuple[float, ...]  # of each phase of what is timed
Timed = Callable[[], Seconds]


def use_threads(n: int) -> None:
    """The same number of threads for everybody: NumPy's products, PyTorch and the compiled kernels.

    Starts the program again if its environment says another number: NumPy has been imported by now.
    """
    wanted = dict.fromkeys(POOLS, str(n))
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.environ.update(wanted)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    tg = importlib.import_module("tensorgraph")
    if hasattr(tg, "set_num_threads"):  # commits.py measures old commits, too
        tg.set_num_threads(n)


def turn(step: Timed, seconds: float) -> Timed:
    """A turn of at least one step and of as many as fit into `seconds`: their medians, phase by phase.

    One more goes before, unmeasured: it brings back the caches, and sends the threads of the one before to sleep.
    """

    def run() -> Seconds:
        end = time.perf_counter() + seconds
        step()
        times = [step()]
        while time.perf_counter() < end:
            times.append(step())
        return tuple(map(statistics.median, zip(*times, strict=True)))

    return run


def take_turns(contenders: Mapping[str, Timed], rounds: int) -> dict[str, list[Seconds]]:
    """Everybody's seconds, round by round, after one round to warm up; who came last comes first in the next round."""
    times: dict[str, list[Seconds]] = {name: [] for name in contenders}
    order = list(contenders)
    for number in range(rounds + 1):
        for name in order:
            seconds = contenders[name]()
            if number:
                times[name].append(seconds)
        order.reverse()
    return times


def busy() -> float:
    """Seconds that the cores have spent on other programs since the machine started; 0 where this is not Linux."""
    if sys.platform != "linux":
        return 0.0
    ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _wait, hard, soft, stolen = ticks[:8]
    spent = (user + nice + system + hard + soft + stolen) / os.sysconf("SC_CLK_TCK")
    return spent - sum(os.times()[:4])  # this process and those it has waited for


def watched(contenders: Mapping[str, Timed], rounds: int) -> tuple[dict[str, list[Seconds]], float]:
    """`take_turns`, and how many cores other programs used meanwhile.

    Turns and medians do not help against those: threads that wait for each other wait for the one without a core, and
    some libraries suffer a hundred times as much as others.
    """
    before, start = busy(), time.perf_counter()
    times = take_turns(contenders, rounds)
    return times, max(0.0, busy() - before) / (time.perf_counter() - start)


def medians(times: list[Seconds]) -> Seconds:
    return tuple(map(statistics.median, zip(*times, strict=True)))


def ratio(slow: list[Seconds], fast: list[Seconds], phase: int = 0) -> dict[str, float]:
    """How many times as fast the second is: median and quartiles of the ratios of neighbours in time."""
    found = [a[phase] / b[phase] for a, b in zip(slow, fast, strict=True)]
    low, middle, high = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    return {"median": middle, "low": low, "high": high}


def fresh(code: str, *, folders: tuple[Path, ...] = (), **options: Any) -> subprocess.Popen[str]:
    """Start Python code in a process of its own, which imports what this one can, from `folders` first.

    What it compiles it keeps, as Python does where nobody forbids it, so that it compiles no module twice.
    """
    path = os.pathsep.join([*map(str, folders), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def answer(code: str) -> Any:
    """What the code, run in a fresh process, prints as JSON."""
    with fresh(code) as process:
        printed, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode}: {code}")
    return json.loads(printed)


def mebibytes(field: str) -> float:
    """Memory of this process: resident now ("VmRSS"), or at most since it started ("VmHWM"); 0 where this is not Linux.

    Not resource.getrusage: a process inherits ru_maxrss from the one that started it.
    """
    if sys.platform != "linux":
        return 0.0
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.startswith(field)]
    return int(line.split()[1]) / 1024


def progress(text: str) -> None:
    """Say on the terminal what is running; "" clears the line. Lines of their own where it is no terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
    elif text:
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def facts(threads: int) -> dict[str, Any]:
    """What a figure depends on besides the code that it measures."""
    installed = {}
    for package in ("numpy", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "commit": commit(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "threads": threads,
        "kernels": kernels(),
        "versions": {"python": platform.python_version(), **installed},
    }


def processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def kernels() -> str:
    with contextlib.redirect_stdout(io.StringIO()):
        config = importlib.import_module("tensorgraph").show_config()
    return ", ".join(filter(None, (config["kernels"], config["isa"])))


def commit() -> str:
    """The commit of this checkout, with a + if files differ from it."""
    try:
        return git("describe", "--always", "--abbrev=10", "--exclude=*", "--dirty=+", stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def git(*words: str, **options: Any) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()
