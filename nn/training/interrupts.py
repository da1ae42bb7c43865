"""Ctrl-C during a training: the step is finished first, then everything is saved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class Interruption:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: Any) -> None:
        """What a signal does: the first is noted down, the second raises KeyboardInterrupt at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        with suppress(OSError):  # written without Python's buffers, which may be in use at this moment
            os.write(2, b"\nCtrl-C: finishing this step; once more stops at once\n")


@contextmanager
def noted_interrupts() -> Iterator[Interruption]:
    """While it is open Ctrl-C is noted down. Not in another thread than the main one, nor where a program has its own
    way with Ctrl-C: there everything stays as it is."""
    import signal  # here, because importing nn should not wait for what only some programs need
    import threading

    interruption = Interruption()
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interruption
        return
    signal.signal(signal.SIGINT, interruption)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
