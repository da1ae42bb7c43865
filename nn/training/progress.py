"""How a training shows where it stands: a bar on a terminal, a line an epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from nn.training.metrics import is_share

Figures = Callable[[], Mapping[str, float]]
_WIDEST = 110  # columns that a bar takes
_PAUSE = 0.1  # seconds between its pictures


class Silence:
    """Shows nothing."""

    def begin(self, epochs: int, epoch: int, batches: int | None, done: int) -> None:
        """Epoch 1, 2, ... of `epochs` begins, or goes on where `done` of its batches, if known how many, are done."""

    def advance(self, examples: int, unit: str, figures: Figures) -> None:
        """One more batch is done, of so many images or examples; `figures` tells those of the epoch so far."""

    def end(self, figures: Mapping[str, float], seconds: float) -> None:
        """The epoch is done."""

    def close(self) -> None:
        """Nothing follows: what was on the way is taken away."""


class Lines(Silence):
    """Writes a line an epoch to standard output."""

    def begin(self, epochs: int, epoch: int, batches: int | None, done: int) -> None:
        self.epoch = f"epoch {epoch:{len(str(epochs))}}/{epochs}"
        self.started = time.perf_counter()
        self.examples, self.unit = 0, "examples"

    def advance(self, examples: int, unit: str, figures: Figures) -> None:
        self.examples += examples
        self.unit = unit
        self.trained = time.perf_counter() - self.started

    def end(self, figures: Mapping[str, float], seconds: float) -> None:
        speed = f"{self.examples / self.trained:,.0f} {self.unit}/s" if self.examples else ""
        say("  ".join(filter(None, [self.epoch, *written(figures), speed, f"{seconds:.0f} s"])) + "\n")


class Bar(Lines):
    """`Lines`, and while an epoch runs a bar with its figures, the speed and the time left until the last epoch's end.

    Time left is what the epochs have taken so far, validation and all, in proportion to what is to come.
    """

    def __init__(self) -> None:
        self.bar: Any = None
        self.began: float | None = None

    def begin(self, epochs: int, epoch: int, batches: int | None, done: int) -> None:
        super().begin(epochs, epoch, batches, done)
        self.batches, self.done = batches, done
        if self.began is None:
            self.began, self.first = self.started, epoch - 1 + self._share
        self.left = epochs - (epoch - 1)  # epochs, counted from the beginning of this one
        self.past = epoch - 1 - self.first  # epochs since this bar was first shown
        self.shown = 0.0  # seconds of the epoch, when it was last drawn
        columns, rows = _terminal_size()  # as it is now; 80 x 24 if it does not say
        self.bar = _tqdm()(
            total=batches,
            initial=done,
            desc=self.epoch,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {text}" if batches else "{desc} {n_fmt} batches {text}",
            file=sys.stdout,
            leave=False,
            mininterval=0,  # it is drawn whenever it is updated
            miniters=1,
            ncols=min(columns - 1, _WIDEST),
            nrows=rows,
        )

    @property
    def _share(self) -> float:
        """How much of the epoch is done."""
        return self.done / self.batches if self.batches else 0.0

    def advance(self, examples: int, unit: str, figures: Figures) -> None:
        super().advance(examples, unit, figures)
        self.done += 1
        if self.trained - self.shown >= _PAUSE:  # not more often than it can be read
            self.shown = self.trained
            self.bar.text = self._text(figures())
            self.bar.update(self.done - self.bar.n)

    def _text(self, figures: Mapping[str, float]) -> str:
        speed = f"{self.examples / self.trained:,.0f} {self.unit}/s"
        past = self.past + self._share
        parts = [*written(figures), speed]
        if self.batches and self.began is not None and past > 0:
            seconds = (time.perf_counter() - self.began) / past * (self.left - self._share)
            parts.append(f"{duration(seconds)} left")
        return "  ".join(parts)

    def end(self, figures: Mapping[str, float], seconds: float) -> None:
        self.close()
        super().end(figures, seconds)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def chosen(show: str) -> Silence:
    """What shows a training: nothing if "quiet", else a bar on a terminal and lines elsewhere."""
    if show == "quiet":
        return Silence()
    return Bar() if sys.stdout.isatty() else Lines()


def written(figures: Mapping[str, float]) -> list[str]:
    """Each figure with its name: shares in percent."""
    return [
        f"{name} {value:.1%}" if is_share(name) else f"{name} {value:.4f}"
        for name, value in figures.items()
        if name != "lr"
    ]


def duration(seconds: float) -> str:
    """Seconds as 0:07 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say(text: str) -> None:
    """Write to standard output, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _terminal_size() -> tuple[int, int]:
    import shutil

    return shutil.get_terminal_size()


def _tqdm() -> Any:
    """The class of the bars. It is imported here, because importing nn should not wait for it."""
    from tqdm import tqdm

    class Quick(tqdm):  # type: ignore[misc]
        monitor_interval = 0  # no thread that watches over bars
        text = ""

        @property
        def format_dict(self) -> dict[str, Any]:
            """What a format may name."""
            return {**super().format_dict, "text": self.text}

    return Quick
