"""How far a download is, on stderr: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_BEFORE = 1.0  # seconds that a download lasts before it is mentioned
_BETWEEN = 10.0  # seconds between two lines


@contextmanager
def byte_bar(name: str, done: int, total: int | None) -> Iterator[Any]:
    """Something with a method `update(bytes)`."""
    if not sys.stderr.isatty():
        yield _Lines(name, done, total)
        return
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        monitor_interval = 0  # no thread that watches over bars

    with Bar(desc=name, initial=done, total=total, unit="B", unit_scale=True, delay=_BEFORE, leave=False) as bar:
        yield bar


class _Lines:
    """Says on a line how far it is, every ten seconds."""

    def __init__(self, name: str, done: int, total: int | None) -> None:
        self.name, self.done, self.total = name, done, total
        self.next = time.monotonic() + _BEFORE

    def update(self, more: int) -> None:
        self.done += more
        if (now := time.monotonic()) >= self.next:
            self.next = now + _BETWEEN
            whole = f" of {self.total / 1e6:.1f}" if self.total else ""
            sys.stderr.write(f"{self.name}: {self.done / 1e6:.1f}{whole} MB\n")
            sys.stderr.flush()
