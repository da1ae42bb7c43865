"""Callbacks: what is done while a model is trained, besides training it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nn._checks import choice, count, number
from nn.serialization import save
from nn.training.metrics import is_share
from nn.training.model_state import weights

if TYPE_CHECKING:
    from nn.training.trainer import Trainer


class Callback:
    """The base of the callbacks: the trainer calls each method at its time; a subclass defines those it needs.

    What a callback can see and do: `trainer.epoch` and `trainer.step`, both counted from 1, `trainer.history`,
    `trainer.model`, `trainer.optimizer`; `trainer.stop()` ends the training after this step or epoch.

    Example:
        >>> import nn
        >>> class Shout(nn.training.Callback):
        ...     def on_epoch_end(self, trainer):
        ...         print(f"epoch {trainer.epoch} is done!")
    """

    def on_fit_start(self, trainer: Trainer) -> None:
        """`fit` begins, with `trainer.step` at 0, or goes on after a resume."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """An epoch begins."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """A step is done."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """An epoch is done, validation and all, and stands in the history."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """`fit` ends, after the last epoch or `stop`; not after an error or Ctrl-C."""

    def on_interrupt(self, trainer: Trainer) -> None:
        """Ctrl-C was pressed; the step is done, and `fit` is about to raise KeyboardInterrupt."""

    def state_dict(self) -> dict[str, Any]:
        """What must be known after a resume: arrays, numbers, strings, lists and dicts."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from such a state."""


class _Best:
    """The best of a figure so far, and its epoch."""

    def __init__(self, owner: object, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        self.owner = type(owner).__name__
        self.monitor = monitor
        best_is = "max" if is_share(monitor) else "min"
        self.sign = 1 if choice(owner, "mode", best_is if mode is None else mode, ("min", "max")) == "max" else -1
        self.min_delta = number(owner, "min_delta", min_delta, 0.0)
        self.reset()

    def reset(self) -> None:
        self.value, self.epoch = -self.sign * math.inf, 0

    def improved(self, trainer: Trainer) -> bool:
        """Whether the last epoch is better than all before, by more than min_delta; notes it down."""
        figures = trainer.history
        if self.monitor not in figures:
            hint = "; give fit validation data" if self.monitor.startswith("val_") else ""
            raise ValueError(f"{self.owner}: monitor {self.monitor!r} is none of {', '.join(figures)}{hint}")
        value = figures[self.monitor][-1]
        if not self.sign * value > self.sign * self.value + self.min_delta:
            return False
        self.value, self.epoch = value, trainer.epoch
        return True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.value, "best_epoch": self.epoch}

    def checked(self, state: Mapping[str, Any]) -> tuple[float, int]:
        """The entries of a saved state in their types."""
        try:
            return float(state["best"]), int(state["best_epoch"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{self.owner}.load_state_dict: not the state of such a callback: {error!r}") from None


class EarlyStopping(Callback):
    """End the training when a figure has not become better for so many epochs.

    Arguments:
        monitor: the name of the figure in the history. patience: after how many epochs without a better one.
        min_delta: by how much more than this a figure must be better to count as better, >= 0.
        mode: "min" or "max", which is better; if None, "max" for accuracies and "min" for everything else.
        restore_best: give the model its weights of the best epoch at the end.

    Attributes:
        best, best_epoch: the best figure, and when it was reached. stopped_epoch: when it ended the training, None if
            it did not.

    Raises:
        ValueError: an argument is impossible; the history has no such figure.

    Example:
        >>> import nn
        >>> patient = nn.training.EarlyStopping("val_accuracy", patience=5, restore_best=True)

    Source: Prechelt, "Early stopping - but when?", 1998; course, section 3.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 3,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = False,
    ) -> None:
        self.patience = count(self, "patience", patience)
        self.restore_best = restore_best
        self._best = _Best(self, monitor, mode, min_delta)
        self._begin()

    def _begin(self) -> None:
        self._best.reset()
        self.waited = 0
        self.stopped_epoch: int | None = None
        self._weights: dict[str, Any] = {}

    @property
    def best(self) -> float:
        return self._best.value

    @property
    def best_epoch(self) -> int:
        return self._best.epoch

    def on_fit_start(self, trainer: Trainer) -> None:
        if trainer.step == 0:
            self._begin()

    def on_epoch_end(self, trainer: Trainer) -> None:
        if self._best.improved(trainer):
            self.waited = 0
            if self.restore_best:
                self._weights = weights(trainer.model)
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.stopped_epoch = trainer.epoch
            trainer.stop()

    def on_fit_end(self, trainer: Trainer) -> None:
        if self._weights:
            trainer.model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        stopped = {} if self.stopped_epoch is None else {"stopped_epoch": self.stopped_epoch}
        return {**self._best.state_dict(), "waited": self.waited, "weights": dict(self._weights), **stopped}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from such a state.

        Raises:
            ValueError: the state does not fit. Nothing has changed then.
        """
        best = self._best.checked(state_dict)
        try:
            waited, best_weights = int(state_dict["waited"]), dict(state_dict["weights"])
            stopped = int(state_dict["stopped_epoch"]) if "stopped_epoch" in state_dict else None
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"EarlyStopping.load_state_dict: not the state of such a callback: {error!r}") from None
        self._best.value, self._best.epoch = best
        self.waited, self._weights, self.stopped_epoch = waited, best_weights, stopped


class Checkpoint(Callback):
    """Save the whole training in a file from time to time, and at Ctrl-C: `fit(..., resume=path)` goes on from there.

    The file is replaced whole: whenever the program is killed, the last one that was written can be read. It is saved
    after all other callbacks have done their work.

    Arguments:
        path: of the file. every: after each so many epochs, and at the end. every_steps: after each so many steps, too.
        best: another file, for the weights alone of the best epoch so far: `model.load_state_dict(nn.load(best))`.
        monitor, mode: what is best, as for `EarlyStopping`.

    Attributes:
        saved_step: after which step it was saved last in this `fit`, None if it was not.

    Raises:
        TypeError, ValueError: an argument is impossible; the history has no such figure. OSError: a file cannot be
            written; that the folder is there shows at the beginning.

    Example:
        >>> import nn
        >>> saver = nn.training.Checkpoint("run.safetensors", every_steps=500, best="best.safetensors")
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int = 1,
        every_steps: int | None = None,
        best: str | os.PathLike[str] | None = None,
        monitor: str = "val_loss",
        mode: str | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.every = count(self, "every", every)
        self.every_steps = None if every_steps is None else count(self, "every_steps", every_steps)
        self.best = None if best is None else os.fspath(best)
        self._best = _Best(self, monitor, mode)
        self.saved_step: int | None = None

    def on_fit_start(self, trainer: Trainer) -> None:
        self.saved_step = None
        for path in filter(None, (self.path, self.best)):
            check_writable(path)
        if trainer.step == 0:
            self._best.reset()

    def on_batch_end(self, trainer: Trainer) -> None:
        if self.every_steps is not None and trainer.step % self.every_steps == 0:
            self._save(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        if self.best is not None and self._best.improved(trainer):
            save(self.best, trainer.model.state_dict())
        if trainer.epoch % self.every == 0 or trainer.ends:
            self._save(trainer)

    def on_interrupt(self, trainer: Trainer) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save(self.path)
        self.saved_step = trainer.step

    def state_dict(self) -> dict[str, Any]:
        return self._best.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from such a state.

        Raises:
            ValueError: the state does not fit. Nothing has changed then.
        """
        self._best.value, self._best.epoch = self._best.checked(state_dict)


def check_writable(path: str) -> None:
    """Raise an OSError if a file cannot be written there: before the work, not after it."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"cannot write to the folder {folder}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; name a file")
