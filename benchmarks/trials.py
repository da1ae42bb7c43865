"""The trials of `reliability.py`: each takes a number, and returns what it found in words, or stops the program."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nn
import tensorgraph as tg
from timing import ROOT, answer, mebibytes

Show = Callable[[int], None]  # told how many are done


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"FAILED: {otherwise}")


# --- what is trained -------------------------------------------------------------------------------------------------


def digest(*states: Any) -> str:
    """One text for all that is in some states: two are equal if every bit is."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            value = list(value.items())
        if isinstance(value, (list, tuple)):
            for item in value:
                add(item)
        elif isinstance(value, (tg.Tensor, np.ndarray)):
            found.update(np.asarray(value).tobytes())
        else:
            found.update(repr(value).encode())

    add(states)
    return found.hexdigest()


class Training:
    """A small convolutional network, an optimizer with two groups, and batches of noise that come again and again."""

    def __init__(self, seed: int, rule: str = "Adam", dtype: str = "float32", size: int = 12) -> None:
        rng = np.random.default_rng(seed)
        self.model = nn.Sequential(
            nn.Conv2d(1, 4, 3, rng=rng),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear((size // 2 - 1) ** 2 * 4, 10, rng=rng),
        )
        for layer in (self.model[0], self.model[4]):
            layer.weight, layer.bias = (nn.Parameter(p.detach().astype(dtype)) for p in (layer.weight, layer.bias))
        conv, linear = list(self.model[0].parameters()), list(self.model[4].parameters())
        groups = [{"params": conv}, {"params": linear, "lr": 0.002}]
        options = {"momentum": 0.9} if rule == "SGD" else {}
        self.optimizer = getattr(nn.optim, rule)(groups, lr=0.001, **options)
        self.images = rng.random((16, 8, 1, size, size)).astype(dtype)
        self.labels = rng.integers(0, 10, (16, 8))
        self.done = 0

    def step(self) -> None:
        self.optimizer.zero_grad()
        outputs = self.model(tg.tensor(self.images[self.done % 16]))
        nn.functional.cross_entropy(outputs, self.labels[self.done % 16]).backward()
        self.optimizer.step()
        self.done += 1

    def digest(self) -> str:
        return digest(self.model.state_dict(), self.optimizer.state_dict())


def digest_after(steps: int, seed: int) -> str:
    training = Training(seed)
    for _ in range(steps):
        training.step()
    return training.digest()


# --- long graphs, long trainings -------------------------------------------------------------------------------------


def chain(count: int, show: Show) -> str:
    """A chain of operations under a recursion limit of 200: recorded and walked back; another one dropped."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    x = tg.tensor(1.0, dtype="float64", requires_grad=True)
    begin, before = time.perf_counter(), mebibytes("VmHWM")
    y = x
    for i in range(count // 2):
        y = y * 1.000001 + 0.5
        if i % 10_000 == 0:
            show(2 * i)
    recorded, middle = time.perf_counter() - begin, time.perf_counter()
    y.backward()
    walked, used = time.perf_counter() - middle, mebibytes("VmHWM") - before
    expected = np.prod(np.full(count // 2, 1.000001))
    require(x.grad is not None and bool(np.isclose(x.grad.item(), expected, rtol=1e-9)), f"the gradient is {x.grad}")
    for _ in range(count // 2):
        y = y * 1.000001 + 0.5
    del y  # nobody walks it: a million nodes let go of each other
    sys.setrecursionlimit(limit)
    return (
        f"{count:,} operations recorded in {recorded:.1f} s, walked back in {walked:.1f} s, "
        f"gradient right to 9 digits; {used * 2**20 / count:.0f} bytes of memory an operation; "
        "a second chain dropped without a walk"
    )


def memory(count: int, show: Show) -> str:
    """Training steps with the garbage collector off: the memory of the process stays the same."""
    gc.disable()
    training = Training(0, size=28)
    warm = count // 20
    for _ in range(warm):
        training.step()
    start = most = mebibytes("VmRSS")
    for i in range(warm, count):
        training.step()
        if i % 50 == 0:
            most = max(most, mebibytes("VmRSS"))
            show(i)
    grown = most - start
    require(grown < 8, f"the memory grew by {grown:.1f} MiB")
    unreachable = gc.collect()
    return (
        f"{count:,} steps, from step {warm:,} on at most {grown:.1f} MiB more (limit: 8); "
        f"{unreachable} objects left for the collector"
    )


# --- the same every time ---------------------------------------------------------------------------------------------


def seed(count: int, show: Show) -> str:
    """Fresh processes with one seed: the same weights, bit for bit."""
    found = []
    for i in range(count):
        found.append(answer("import trials; trials.print_trained()"))
        show(i + 1)
    require(len(set(found)) == 1, f"{len(set(found))} different results")
    return f"{count} of {count} have the same bits: {found[0][:16]}..."


def print_trained() -> None:
    """What a fresh process does: everything random comes from the library's one seed."""
    tg.manual_seed(7)
    model = nn.Sequential(nn.models.numpy_cnn(), nn.Dropout(0.5))
    optimizer = nn.optim.Adam(model.parameters())
    (x, y), _ = nn.data.mnist_mini()
    for images, labels in nn.data.DataLoader((x[:640], y[:640]), batch_size=32, shuffle=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    print(json.dumps(digest(model.state_dict())))


def threads(count: int, show: Show) -> str:
    """Threads that train models of their own at the same time: the results of training one after the other."""
    expected = [digest_after(count, i) for i in range(8)]
    found = [""] * 8

    def work(i: int) -> None:
        found[i] = digest_after(count, i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for i, worker in enumerate(workers):
        worker.join()
        show(count * (i + 1) // 8)
    same = sum(a == b for a, b in zip(expected, found, strict=True))
    require(same == 8, f"{same} of 8 are the same")
    return f"8 of 8 threads have the bits of the serial runs after {count:,} steps each"


# --- files -----------------------------------------------------------------------------------------------------------


def kill(count: int, show: Show) -> str:
    """kill -9 in the middle of writing a checkpoint: the file can be read, and is the old or the new one, whole."""
    killed = attempts = seen = replaced = 0
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        nn.save(path, checkpoint(0))
        while killed < count:
            attempts += 1
            child = os.fork()
            if child == 0:
                k = seen
                while True:
                    k += 1
                    nn.save(path, checkpoint(k))
            time.sleep(chance.uniform(0.002, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            state = nn.load(path)
            k = state["k"]
            whole = all((array == k).all() for array in state["model"].values())
            require(whole and k >= seen, f"after {attempts} kills: k = {k}, before it was {seen}, whole: {whole}")
            replaced += k > seen
            seen = k
            for unfinished in Path(folder).glob("*.tmp"):  # what shows that the kill came while a file was written
                unfinished.unlink()
                killed += 1
            show(killed)
    return (
        f"{attempts:,} processes killed, {killed:,} of them while they wrote: 0 unreadable, 0 mixed; "
        f"{replaced:,} had finished a newer one before"
    )


def checkpoint(k: int) -> dict[str, Any]:
    """A state of 1 MB in which every number is k."""
    return {"k": k, "model": {f"layer{i}": np.full((64, 1024), k, np.float32) for i in range(4)}}


def hostile(count: int, show: Show) -> str:
    """Hostile files: each is refused with FileFormatError, in less than 100 ms and bounded memory."""
    sys.path.insert(0, str(ROOT / "tests"))
    modules = [importlib.import_module(name) for name in ("hostile", "hostile_weights")]
    slowest, most, files = (0.0, ""), (0.0, ""), 0
    with tempfile.TemporaryDirectory() as folder:
        for path, makers, read in [reader for module in modules for reader in module.readers(Path(folder))]:
            for name, make in makers.items():
                path.write_bytes(make())
                milliseconds = min(refusal(read, name) for _ in range(count)) * 1000
                tracemalloc.start()
                refusal(read, name)
                used = tracemalloc.get_traced_memory()[1] / 2**20
                tracemalloc.stop()
                slowest, most, files = max(slowest, (milliseconds, name)), max(most, (used, name)), files + 1
                require(milliseconds < 100, f"{path.name}: {name}: refused after {milliseconds:.0f} ms")
                require(used < 64, f"{path.name}: {name}: took {used:.0f} MiB")
    show(count)
    return (
        f"{files} of {files} refused; the slowest after {slowest[0]:.0f} ms ({slowest[1]}), "
        f"the most memory {most[0]:.0f} MiB ({most[1]})"
    )


def refusal(read: Callable[[], object], name: str) -> float:
    """Seconds until a file is refused."""
    begin = time.perf_counter()
    try:
        read()
    except nn.FileFormatError:
        return time.perf_counter() - begin
    raise SystemExit(f"FAILED: {name}: was loaded")


# --- forks and Ctrl-C ------------------------------------------------------------------------------------------------


def forks(count: int, show: Show) -> str:
    """Processes forked after training: each trains on to the same weights, and none hangs."""
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of what is tried here
    tg.set_num_threads(max(2, tg.get_num_threads()))
    expected, training = digest_after(8, 0), Training(0)
    for _ in range(5):
        training.step()
    slowest = 0.0
    for i in range(count):
        begin = time.perf_counter()
        child = os.fork()
        if child == 0:
            for _ in range(3):
                training.step()
            os._exit(0 if training.digest() == expected else 1)
        signal.alarm(60)  # ends this process if the child hangs
        _, status = os.waitpid(child, 0)
        signal.alarm(0)
        require(status == 0, f"child {i} ended with status {status}")
        slowest = max(slowest, time.perf_counter() - begin)
        show(i + 1)
    return f"{count} of {count} trained on to the right bits; the slowest took {slowest * 1000:.0f} ms"


def interrupts(count: int, show: Show) -> str:
    """KeyboardInterrupts at random moments: parameters and optimizer are as after so many whole steps."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)  # raises KeyboardInterrupt
    chance, survived, taken = random.Random(0), 0, 0
    settings = [(rule, dtype) for rule in ("SGD", "Adam") for dtype in ("float32", "float64")]
    while survived < count:
        rule, dtype = settings[survived // 20 % len(settings)]
        training, undisturbed = Training(survived, rule, dtype), Training(survived, rule, dtype)
        for _ in range(min(20, count - survived)):
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, 0.004))
                while True:
                    training.step()
            except KeyboardInterrupt:
                survived += 1
            while undisturbed.done < training.done:
                undisturbed.step()
            if training.digest() != undisturbed.digest():  # the interrupt came between the step and counting it
                undisturbed.step()
                training.done += 1
            require(training.digest() == undisturbed.digest(), f"{rule}, {dtype}: half a step after {survived}")
            require(tg.current_scope() is None and tg.is_grad_enabled(), "a layer or a setting was not left")
            show(survived)
        taken += training.done
    return f"{survived:,} survived in {taken:,} steps of SGD with momentum and Adam, bit for bit as without them"
