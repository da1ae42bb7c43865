"""The whole state of a training, to be saved and gone on from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

import tensorgraph as tg
from nn.module import Module
from nn.serialization import FileFormatError, load
from nn.training.model_state import weights

if TYPE_CHECKING:
    from nn.training.trainer import Trainer

_VERSION = 1  # of the layout of the state
_ENTRIES = ("version", "kinds", "position", "model", "optimizer", "history", "sums", "random", "callbacks", "notes")


def state_of(trainer: Trainer) -> dict[str, Any]:
    """All that the rest of a training depends on, but for the data, the settings and the program."""
    states = {name: part.state_dict() for name, part in (_parts(trainer) | {"position": trainer.position}).items()}
    callbacks = {name: callback.state_dict() for name, callback in _named(trainer.callbacks).items()}
    return {"version": _VERSION, "kinds": _kinds(trainer), **states, "callbacks": callbacks, "notes": trainer.notes}


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The state in a file that `state_of` gave.

    Raises:
        FileFormatError: the file is damaged, or no such state. OSError: it cannot be opened.
    """
    state = load(path)
    missing = [name for name in _ENTRIES if name not in state]
    if missing:
        hint = "" if "model" in state else "; weights alone are read with model.load_state_dict(nn.load(path))"
        raise FileFormatError(
            f"load: {os.fspath(path)}: no checkpoint of a training, it has no {', '.join(missing)}{hint}"
        )
    if state["version"] != _VERSION:
        raise FileFormatError(
            f"load: {os.fspath(path)}: a checkpoint of version {state['version']!r}, this library reads {_VERSION}"
        )
    if wrong := [name for name in _ENTRIES[1:] if not isinstance(state[name], dict)]:
        raise FileFormatError(f"load: {os.fspath(path)}: a damaged checkpoint, {', '.join(wrong)} should be a dict")
    return state


def restore(trainer: Trainer, state: Mapping[str, Any]) -> None:
    """Put a trainer into a state.

    Raises:
        TypeError, ValueError: the state does not fit. Nothing has changed then.
    """
    expected, found = _kinds(trainer), state["kinds"]
    if found != expected:
        raise ValueError(
            f"Trainer.load: the checkpoint is of a training with {_said(found)}; this is one with {_said(expected)}"
        )
    with _undone_if_it_fails(trainer):
        for name, part in _parts(trainer).items():
            if name not in state:  # the schedule's, which not every training has
                raise ValueError(f"Trainer.load: a damaged checkpoint, it has no {name}")
            part.load_state_dict(state[name])
        for name, callback in _named(trainer.callbacks).items():
            if name in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][name])
        trainer.position.load_state_dict(state["position"])
    trainer.notes = dict(state["notes"])


def _parts(trainer: Trainer) -> dict[str, Any]:
    """What has a state, but for the callbacks."""
    parts = {
        "model": trainer.model,
        "optimizer": trainer.optimizer,
        "schedule": trainer.schedule,
        "history": trainer.history,
        "sums": trainer.sums,
        "random": Generators(trainer.model),
    }
    return {name: part for name, part in parts.items() if part is not None}


def _kinds(trainer: Trainer) -> dict[str, str]:
    """The kinds of what must be of the same kind when it goes on."""
    parts = {"optimizer": trainer.optimizer, "schedule": trainer.schedule}
    return {name: "none" if part is None else type(part).__name__ for name, part in parts.items()}


def _said(kinds: Any) -> str:
    return ", ".join(f"{name} {str(kind)[:40]}" for name, kind in kinds.items())


def _named(callbacks: list[Any]) -> dict[str, Any]:
    """The callbacks by class; the second of a class is "EarlyStopping 2"."""
    named: dict[str, Any] = {}
    for callback in callbacks:
        name = type(callback).__name__
        same = sum(type(other) is type(callback) for other in named.values())
        named[f"{name} {same + 1}" if same else name] = callback
    return named


@contextmanager
def _undone_if_it_fails(trainer: Trainer) -> Iterator[None]:
    parts = [*_parts(trainer).values(), *trainer.callbacks]
    before = [weights(part) if isinstance(part, Module) else part.state_dict() for part in parts]
    try:
        yield
    except BaseException:
        for part, state in zip(parts, before, strict=True):
            part.load_state_dict(state)
        raise


class Generators:
    """The generators that a training draws random numbers from: the library's own, and those of the model's layers."""

    def __init__(self, model: Module) -> None:
        found = {id(value): value for _, module in model.named_modules() for value in vars(module).values()}
        own = tg.default_rng()
        layers = [value for value in found.values() if isinstance(value, np.random.Generator) and value is not own]
        self.generators = {"own": own} | {f"layers {i}": generator for i, generator in enumerate(layers, 1)}

    def state_dict(self) -> dict[str, Any]:
        return {name: generator.bit_generator.state for name, generator in self.generators.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        if state_dict.keys() != self.generators.keys():
            own, found = len(self.generators), len(state_dict)
            raise ValueError(f"Trainer.load: expected the states of {own} generators of random numbers, got {found}")
        before = self.state_dict()
        try:
            for name, generator in self.generators.items():
                generator.bit_generator.state = state_dict[name]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            for name, generator in self.generators.items():
                generator.bit_generator.state = before[name]
            raise ValueError(f"Trainer.load: not the state of such a generator: {error!r}") from None


class Position:
    """Where a training is.

    Attributes:
        epoch: the number of the epoch that runs, or ran last. batch: how many steps were made in it. step: in all.
        trained: whether all steps of the epoch were made. done: whether the epoch is done, validation and all.
        stopped: whether no step shall follow. seconds: how long the epoch has taken so far.
        loader: what gives the batches. resumed: whether the state was loaded, and is to be gone on from.
    """

    def __init__(self) -> None:
        self.epoch = self.batch = self.step = 0
        self.trained = self.done = True
        self.stopped = self.resumed = False
        self.seconds = 0.0
        self.loader: Any = None
        self._loader_state: Any = None  # as it was loaded, for the loader to come
        self._skipped = 0  # how many batches a loader that has no state will give once more

    @classmethod
    def loaded(cls, state_dict: Mapping[str, Any]) -> Position:
        """The place in such a state."""
        position = cls()
        position.load_state_dict(state_dict)
        return position

    @property
    def epochs_done(self) -> int:
        """How many epochs are done, validation and all."""
        return self.epoch if self.done else self.epoch - 1

    @property
    def said(self) -> str:
        """What is done, in words."""
        epochs = "1 epoch is" if self.epochs_done == 1 else f"{self.epochs_done} epochs are"
        steps = "1 step" if self.batch == 1 else f"{self.batch} steps"
        return f"{epochs} done already" + ("" if self.done else f", and {steps} of epoch {self.epoch}")

    def check_total(self, epochs: int) -> None:
        """That a training of so many epochs in all comes here: to go on cannot take back what was done."""
        if epochs < self.epoch:
            needs = f"it must be at least {self.epoch}, got {epochs}"
            raise ValueError(f"Trainer.fit: epochs is how many in all, and {self.said}; {needs}")

    def begin_epoch(self) -> None:
        """On to the next epoch."""
        self.epoch += 1
        self.batch, self.seconds = 0, 0.0
        self.trained = self.done = False

    def attach(self, loader: Any) -> None:
        """Take the batches from this loader, after a resume those that are still to come."""
        if self._loader_state is not None:
            loader.load_state_dict(self._loader_state)
        elif self.resumed and not self.trained:
            self._skipped = self.batch
        self.loader, self._loader_state, self.resumed = loader, None, False

    def batches(self) -> Iterable[Any]:
        """The batches of the epoch that are still to come."""
        skipped, self._skipped = self._skipped, 0
        return islice(self.loader, skipped, None) if skipped else self.loader

    def state_dict(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in _POSITION}
        return numbers | ({"loader": self.loader.state_dict()} if hasattr(self.loader, "state_dict") else {})

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        numbers: dict[str, Any] = {name: state_dict.get(name) for name in _POSITION}
        for name, value in numbers.items():
            other = type(value) is not _POSITION[name]
            if other or not 0 <= value < 2**53:
                raise ValueError(f"Trainer.load: a damaged checkpoint, its {name} is {value!r}")
        vars(self).update(numbers)
        self.resumed, self._loader_state, self._skipped = True, state_dict.get("loader"), 0


_POSITION: dict[str, type] = {
    "epoch": int,
    "batch": int,
    "step": int,
    "trained": bool,
    "done": bool,
    "stopped": bool,
    "seconds": float,
}
