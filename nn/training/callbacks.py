"""Callbacks: what is done while a model is trained, besides training it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
        """`fit` begins, or goes on after a resume."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """An epoch begins."""

    def on_batch_end(self, trainer: Trainer) -> None:
        """A step is done."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """An epoch is done, validation and all, and stands in the history."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """`fit` ends, after the last epoch or `stop`; not after an error or Ctrl-C."""

    def state_dict(self) -> dict[str, Any]:
        """What must be known after a resume: arrays, numbers, strings, lists and dicts."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from such a state."""
