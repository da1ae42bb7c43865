"""Callbacks that write the figures of a training into files while it runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nn.training.callbacks import Callback

if TYPE_CHECKING:
    from nn.training.trainer import Trainer


class CSVLog(Callback):
    """The history as a table, a line an epoch, written anew at each epoch's end: `history.to_csv(path)`.

    Arguments:
        path: of the file. An earlier one is replaced; after a resume it has the epochs before, too.

    Example:
        >>> import nn
        >>> log = nn.training.CSVLog("run.csv")
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    def on_fit_start(self, trainer: Trainer) -> None:
        trainer.history.to_csv(self.path)

    def on_epoch_end(self, trainer: Trainer) -> None:
        trainer.history.to_csv(self.path)


class JSONLinesLog(Callback):
    """A line an epoch, each a dict in JSON: {"epoch": 1, "loss": ..., "seconds": ...}, null for NaN and infinity.

    Arguments:
        path: of the file. An earlier one is replaced; after a resume it has the epochs before, too.

    Example:
        >>> import nn
        >>> log = nn.training.JSONLinesLog("run.jsonl")
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)

    def on_fit_start(self, trainer: Trainer) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.writelines(trainer.history.json_row(epoch) + "\n" for epoch in range(1, trainer.history.epochs + 1))

    def on_epoch_end(self, trainer: Trainer) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(trainer.history.json_row(trainer.history.epochs) + "\n")


class TensorBoard(Callback):
    """Event files for TensorBoard, which shows them with `tensorboard --logdir folder`.

    "step/loss" and "step/lr" by step, and the figures of the history as "epoch/..." by epoch. Needs the package
    tensorboardX, which is not installed along: `pip install tensorboardX`.

    Arguments:
        folder: for the files, a new one for each training. After a resume it goes on in the same.

    Raises:
        ImportError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            import tensorboardX  # noqa: F401 (whether it is there shows before the training)
        except ImportError:
            raise ImportError("TensorBoard: needs the package tensorboardX; pip install tensorboardX") from None
        self.folder = os.fspath(folder)
        self._writer: Any = None

    def on_fit_start(self, trainer: Trainer) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(self.folder, purge_step=trainer.step + 1 if trainer.step else None)

    def on_batch_end(self, trainer: Trainer) -> None:
        for name, values in trainer.history.steps.items():
            self._writer.add_scalar(f"step/{name}", values[-1], trainer.step)

    def on_epoch_end(self, trainer: Trainer) -> None:
        for name, values in trainer.history.items():
            self._writer.add_scalar(f"epoch/{name}", values[-1], trainer.epoch)
        self._writer.flush()

    def on_fit_end(self, trainer: Trainer) -> None:
        self._writer.close()

    def on_interrupt(self, trainer: Trainer) -> None:
        self._writer.close()
