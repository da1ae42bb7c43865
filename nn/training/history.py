"""What a training has come to, epoch by epoch and step by step."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np


class History(Mapping[str, list[float]]):
    """The figures of a training by name, a list with one for each epoch: `history["val_accuracy"][-1]`.

    "loss" and the names of the metrics are over the training examples of the epoch, in the state that the model had
    when each came by; those with "val_" before them are of the model at the end of the epoch, over the examples for
    validation; "lr" is the learning rate of the epoch's last step. A figure that an epoch does not have is NaN.

    Attributes:
        epochs: how many there are. steps: "loss" and "lr" of each step, lists. seconds: how long each epoch took; they
            are no part of the figures, which are the same whenever a training is repeated or resumed.

    Example:
        >>> import nn
        >>> history = nn.training.History()
        >>> history.add({"loss": 2.0, "val_accuracy": 0.5}, seconds=1.5)
        >>> history.add({"loss": 1.0, "val_accuracy": 0.75}, seconds=1.5)
        >>> history["loss"], max(history["val_accuracy"]), history.epochs
        ([2.0, 1.0], 0.75, 2)
    """

    def __init__(self) -> None:
        self._figures: dict[str, list[float]] = {}
        self.steps: dict[str, list[float]] = {"loss": [], "lr": []}
        self.seconds: list[float] = []

    @property
    def epochs(self) -> int:
        return len(self.seconds)

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._figures:
            raise KeyError(f"{name}; the history has {', '.join(self._figures) or 'no figures yet'}")
        return self._figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.items())
        return f"History({self.epochs} epochs{': ' + last if last else ''})"

    def add(self, figures: Mapping[str, float], seconds: float) -> None:
        """Add an epoch."""
        for name in figures:
            self._figures.setdefault(name, [math.nan] * self.epochs)
        for name, values in self._figures.items():
            values.append(float(figures.get(name, math.nan)))
        self.seconds.append(float(seconds))

    def add_step(self, loss: float, lr: float) -> None:
        """Add a step."""
        self.steps["loss"].append(loss)
        self.steps["lr"].append(lr)

    def row(self, epoch: int) -> dict[str, float]:
        """The figures of one epoch, of which the first is 1, with its number before and its seconds behind.

        Raises:
            IndexError: there is no such epoch.
        """
        if not 1 <= epoch <= self.epochs:
            raise IndexError(f"History.row: the epochs are 1 to {self.epochs}, got {epoch}")
        figures = {name: values[epoch - 1] for name, values in self.items()}
        return {"epoch": epoch, **figures, "seconds": self.seconds[epoch - 1]}

    def json_row(self, epoch: int) -> str:
        """`row` in JSON, with null for NaN and infinity."""
        import json  # here, because importing nn should not wait for what only some programs need

        return json.dumps(dict(zip(self.row(epoch), nulled(self.row(epoch).values()), strict=True)))

    # --- files ---

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table with a line for each epoch: its number, the figures, the seconds."""
        import csv

        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["epoch", *self, "seconds"])
            table.writerows(self.row(epoch).values() for epoch in range(1, self.epochs + 1))

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write {"epochs": figures by name, "seconds": ..., "steps": ...}, with null for NaN and infinity."""
        import json

        parts = {"epochs": dict(self), "steps": self.steps}
        text = {part: {name: nulled(values) for name, values in lists.items()} for part, lists in parts.items()}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(text | {"seconds": self.seconds}, file)

    def plot(self) -> Any:
        """The curves of the loss and the accuracies, a Matplotlib Figure: `nn.pictures.curves(history)`."""
        from nn import pictures

        return pictures.curves(self)

    # --- saving ---

    def state_dict(self) -> dict[str, Any]:
        """All of it, as arrays."""
        return {
            "epochs": {name: np.array(values, np.float64) for name, values in self.items()},
            "steps": {name: np.array(values, np.float64) for name, values in self.steps.items()},
            "seconds": np.array(self.seconds, np.float64),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Become the history that was saved.

        Raises:
            ValueError: the state does not fit. Nothing has changed then.
        """
        try:
            figures = {str(name): _numbers(values) for name, values in state_dict["epochs"].items()}
            steps = {name: _numbers(state_dict["steps"][name]) for name in self.steps}
            seconds = _numbers(state_dict["seconds"])
            if {len(values) for values in figures.values()} - {len(seconds)} or len({*map(len, steps.values())}) != 1:
                raise ValueError("lists of different lengths")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"History.load_state_dict: not the state of a history: {error!r}") from None
        self._figures, self.steps, self.seconds = figures, steps, seconds


def nulled(values: Iterable[float]) -> list[float | None]:
    """The numbers with None for NaN and infinity, which JSON does not know."""
    return [value if math.isfinite(value) else None for value in values]


def _numbers(values: Any) -> list[float]:
    numbers: list[float] = np.asarray(values, np.float64).reshape(-1).tolist()
    return numbers
