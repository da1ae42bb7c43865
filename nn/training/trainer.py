"""The loop that trains a model, and uses it."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import choice, count, number
from nn.loss import CrossEntropyLoss
from nn.module import Module
from nn.optim import Optimizer, ReduceLROnPlateau, Schedule, clip_grad_norm_
from nn.serialization import save
from nn.training import progress
from nn.training.batches import batches, counted, finite, parts
from nn.training.callbacks import Callback, Checkpoint
from nn.training.checkpoint import Position, read, restore, state_of
from nn.training.checks import checked_list, checked_pair, checked_schedule
from nn.training.history import History
from nn.training.interrupts import Interruption, noted_interrupts
from nn.training.metrics import Accuracy, Metric
from nn.training.model_state import Buffers, mode
from nn.training.sums import Sums

Array = np.ndarray[Any, np.dtype[Any]]


class Trainer:
    """Trains a model: epochs of steps, with validation, figures, a learning rate that changes, and callbacks.

    Arguments:
        model: the module to train. optimizer: of its parameters.
        loss: a function of the model's outputs and the batch's targets whose result is one tensor, the mean over the
            batch; `CrossEntropyLoss()` if None. A model with several outputs hands all of them to it, as they are.
        metrics: `Metric`s such as `TopK(5)`. If None, the accuracy where the targets are class numbers. Of several
            outputs they see the first.
        schedule: of the optimizer's learning rate, such as `nn.optim.CosineAnnealingLR(optimizer, epochs)`. It goes on
            by one each "epoch" or each "step": as schedule_every says, or the schedule's own `every` if that is None.
            ReduceLROnPlateau looks at the validation loss, or with mode="max" at the validation accuracy; without
            validation at those of the training.
        clip_norm: the most that the norm of all gradients together may be (`nn.optim.clip_grad_norm_`).
        callbacks: what else is to be done (`nn.training.EarlyStopping`, `Checkpoint`, ...).
        seed: at the beginning of a `fit` the library's own generator is restarted from it (`tg.manual_seed`): the order
            of the examples, dropout and augmentation are then the same in each run.
        show: "auto" shows a live bar on a terminal and writes a line an epoch elsewhere; "quiet" shows nothing.

    A penalty on the weights is an option of the optimizer, its weight_decay.

    Attributes:
        history: a `History` of the last `fit`. epoch: the number of the epoch that runs, the first is 1. step, batch:
            how many steps were made in all, and in the epoch. notes: a dict of your own, which is saved, too.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn, tensorgraph as tg
        >>> _ = tg.manual_seed(0)
        >>> (x, y), (x_test, y_test) = nn.data.mnist_mini()
        >>> model = nn.models.perceptron()
        >>> trainer = nn.Trainer(model, nn.optim.Adam(model.parameters(), lr=0.01), show="quiet")
        >>> history = trainer.fit((x, y), validation=(x_test, y_test), epochs=2)
        >>> history["val_accuracy"][-1] > 0.85
        True
        >>> trainer.evaluate((x_test, y_test))["accuracy"] == history["val_accuracy"][-1]
        True
        >>> trainer.predict(x_test[:5]).argmax(axis=1).shape
        (5,)
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Callable[[Any, Any], Any] | None = None,
        *,
        metrics: Iterable[Metric] | None = None,
        schedule: Schedule | ReduceLROnPlateau | None = None,
        schedule_every: str | None = None,
        clip_norm: float | None = None,
        callbacks: Iterable[Callback] = (),
        seed: int | None = None,
        show: str = "auto",
    ) -> None:
        self.model, self.optimizer = checked_pair(model, optimizer)
        self.loss: Callable[[Any, Any], Any] = CrossEntropyLoss() if loss is None else loss
        if not callable(self.loss) or isinstance(self.loss, type):
            hint = f"the class {loss.__name__}; write {loss.__name__}()" if isinstance(loss, type) else repr(loss)
            raise TypeError(f"Trainer: loss must be a function of outputs and targets, got {hint}")
        self._only_classes = metrics is None  # the accuracy is counted where it makes sense
        self.metrics: list[Metric] = checked_list("metrics", [Accuracy()] if metrics is None else metrics, Metric)
        self.schedule = checked_schedule(schedule, self.optimizer)
        every = getattr(schedule, "every", "epoch") if schedule_every is None else schedule_every
        self.schedule_every = choice(self, "schedule_every", every, ("epoch", "step"))
        self.clip_norm = None if clip_norm is None else number(self, "clip_norm", clip_norm, 0.0, bounds="(]")
        self.callbacks: list[Callback] = checked_list("callbacks", callbacks, Callback)
        self.callbacks.sort(key=lambda callback: isinstance(callback, Checkpoint))  # they save what the others did
        self.seed = None if seed is None else count(self, "seed", seed, 0)
        self.show = choice(self, "show", show, ("auto", "quiet"))
        self.notes: dict[str, Any] = {}
        self._epochs = 0
        self._interruption = Interruption()
        self._with_buffers: list[Module] = []
        self._begin()

    def _begin(self) -> None:
        """Forget the last run."""
        self.history = History()
        self.position = Position()
        self.sums = Sums(self.metrics, self._only_classes)

    @property
    def epoch(self) -> int:
        return self.position.epoch

    @property
    def batch(self) -> int:
        return self.position.batch

    @property
    def step(self) -> int:
        return self.position.step

    # --- training ---

    def fit(
        self,
        train: Any,
        validation: Any = None,
        epochs: int = 1,
        *,
        batch_size: int = 32,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train the model, and look at it after each epoch.

        Ctrl-C lets the step be finished and the callbacks be told (`Checkpoint` saves); then KeyboardInterrupt is
        raised, which says how to go on. A second one is raised at once.

        Arguments:
            train: a `nn.data.DataLoader`; or arrays (x, y) or a data set, which are shuffled and gone through in
                batches of batch_size. Of a batch with more than two parts the last is the target, and the model gets
                the others.
            validation: the same, or None; it is not shuffled. Dropout and batch norm are in the mode for use.
            epochs: how often to go through the training data, in all: those before a resume count.
            resume: a file of `save` or `Checkpoint`, to go on from: the weights and figures become, bit for bit, those
                of a training that was never stopped, given the same data, settings and seeds.

        Returns:
            The history: figures by epoch.

        Raises:
            FloatingPointError: the loss or a gradient is NaN or infinite. The model is as it was before this step.
            FileFormatError, OSError, TypeError, ValueError: what is to be resumed cannot be read, does not fit, or is
                beyond so many epochs. Nothing has changed then.
        """
        epochs = count(self, "epochs", epochs)
        if resume is not None:
            state = read(resume)
            Position.loaded(state["position"]).check_total(epochs)
            restore(self, state)
        elif self.position.resumed:
            self.position.check_total(epochs)
        self._epochs = epochs
        loader = batches(train, batch_size, shuffle=True)
        checks = None if validation is None else batches(validation, batch_size)
        if not self.position.resumed:
            self._begin()
            if self.seed is not None:
                tg.manual_seed(self.seed)
        self.position.attach(loader)
        display = progress.chosen(self.show)
        with noted_interrupts() as self._interruption, mode(self.model, training=True):
            try:
                self._each("on_fit_start")
                while not self.ends:
                    self._run_epoch(checks, display)
                self._each("on_fit_end")
            except _Interrupted:
                display.close()
                self._each("on_interrupt")
                raise KeyboardInterrupt(self._how_to_go_on()) from None
            finally:
                display.close()
                self._interruption = Interruption()
        return self.history

    def stop(self) -> None:
        """End the training after this step, if called by a callback at a batch's end, or after this epoch."""
        self.position.stopped = True

    @property
    def ends(self) -> bool:
        """Whether the last epoch of the `fit` is done."""
        return self.position.done and (self.position.stopped or self.epoch >= self._epochs)

    def _each(self, hook: str) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self)

    def _pause(self) -> None:
        """A place where Ctrl-C may end the training."""
        if self._interruption.asked:
            raise _Interrupted

    def _how_to_go_on(self) -> str:
        where = f"stopped by Ctrl-C after {self.batch} steps of epoch {self.epoch}"
        for callback in self.callbacks:
            if isinstance(callback, Checkpoint):
                return f"{where}; saved in {callback.path}: fit(..., resume={callback.path!r}) goes on from there"
        return f"{where}; trainer.save(path) saves it now, nn.training.Checkpoint(path) among the callbacks next time"

    def _run_epoch(self, checks: Any, display: progress.Silence) -> None:
        """Run an epoch, or the rest of one that was interrupted."""
        position = self.position
        begins = position.done
        if begins:
            position.begin_epoch()
            self.sums.reset()
        self._with_buffers = [module for _, module in self.model.named_modules() if module._buffers]
        started = time.perf_counter() - position.seconds
        length = len(position.loader) if hasattr(position.loader, "__len__") else None
        display.begin(self._epochs, self.epoch, length, self.batch)
        if begins:
            self._each("on_epoch_start")
        if not (position.trained or position.stopped):
            for batch in position.batches():
                self._run_step(batch)
                position.seconds = time.perf_counter() - started
                display.advance(*counted(batch), self.sums.numbers)
                self._each("on_batch_end")
                self._pause()
                if position.stopped:
                    break
        position.trained = True
        if not self.batch:
            raise ValueError("Trainer.fit: the training data gave no batch; a generator can be gone through only once")
        figures = self.sums.numbers() | {"lr": self.history.steps["lr"][-1]}
        if checks is not None:
            figures |= {f"val_{name}": value for name, value in self._measured(checks).numbers().items()}
        if self.schedule_every == "epoch":
            self._step_schedule(figures)
        seconds = time.perf_counter() - started
        self.history.add(figures, seconds)
        position.done = True
        display.end(figures, seconds)
        self._each("on_epoch_end")
        self._pause()

    def _run_step(self, batch: Any) -> None:
        lr = self._lr
        loss = self._step(*parts(batch))
        self.position.step += 1
        self.position.batch += 1
        self.history.add_step(loss, lr)
        if self.schedule_every == "step":
            self._step_schedule({"loss": loss})

    @property
    def _lr(self) -> float:
        """The learning rate of now: the first group's."""
        return float(self.optimizer.param_groups[0]["lr"])

    def _step(self, inputs: Sequence[Any], targets: Any) -> float:
        """One step of the optimizer; returns the loss before it."""
        buffers = Buffers(self._with_buffers)
        self.optimizer.zero_grad()
        with np.errstate(all="ignore"):  # what is not finite is told below, and with more than NumPy's warnings know
            outputs = self.model(*inputs)
            loss = self._loss(outputs, targets)
            value = loss.item()
            if np.isfinite(value):
                loss.backward()
        if not (np.isfinite(value) and self._ready()):
            buffers.restore()
            raise FloatingPointError(self._not_finite(value, inputs, targets))
        self.optimizer.step()
        self.sums.add(value, outputs, targets)
        return float(value)

    def _ready(self) -> bool:
        """Clip the gradients, if that is wished; whether they are finite."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.clip_norm is not None:
            return bool(np.isfinite(clip_grad_norm_(parameters, self.clip_norm).item()))
        return finite(p.grad for p in parameters if p.grad is not None)

    def _loss(self, outputs: Any, targets: Any) -> Any:
        loss = self.loss(outputs, targets)
        if not isinstance(loss, tg.Tensor) or loss.size != 1:
            got = f"shape {loss.shape}" if isinstance(loss, tg.Tensor) else type(loss).__name__
            raise TypeError(f"Trainer: the loss must be a tensor of one number, such as the batch's mean, got {got}")
        return loss

    def _not_finite(self, loss: float, inputs: Sequence[Any], targets: Any) -> str:
        """What to say of a loss or a gradient that is no number to go on with."""
        what = "a gradient is not finite" if np.isfinite(loss) else f"the loss is {loss}"
        where = f"epoch {self.epoch}, step {self.step + 1} (batch {self.batch + 1} of the epoch), lr = {self._lr:g}"
        bad = [name for name, part in (("x", inputs), ("y", [targets])) if not finite(part)]
        if bad:
            fix = f"{' and '.join(bad)} of this batch holds NaN or infinity: clean the data"
        else:
            clip = "" if self.clip_norm is not None else " or clip the gradients, clip_norm=1.0"
            fix = (
                f"try a smaller learning rate, such as {self._lr / 10:g},{clip}; "
                "`with tg.detect_nan():` around fit names the operation that makes it"
            )
        return f"Trainer.fit: {what} at {where}; the model is as it was before this step. Likely: {fix}"

    def _step_schedule(self, figures: dict[str, float]) -> None:
        if isinstance(self.schedule, Schedule):
            self.schedule.step()
        if not isinstance(self.schedule, ReduceLROnPlateau):
            return
        name = "loss" if self.schedule.mode == "min" else "accuracy"
        name = f"val_{name}" if f"val_{name}" in figures else name
        if name not in figures:
            raise ValueError(f"Trainer.fit: ReduceLROnPlateau looks at {name}, which is none of {', '.join(figures)}")
        self.schedule.step(figures[name])

    # --- saving ---

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that the rest of the training depends on into a file: between two steps, or after `fit`.

        The model, the optimizer, the schedule, the place in the data, the generators of random numbers, the history,
        what callbacks remember, and `notes`. An earlier file is replaced whole, or not at all.

        Raises:
            OSError: the file cannot be written. TypeError: a callback or `notes` holds what cannot be saved.
        """
        save(path, state_of(self))

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go back to what `save` wrote: the next `fit` goes on from there.

        The trainer must be made as the one that was saved: its model, optimizer, schedule and metrics.

        Raises:
            FileFormatError: the file is damaged, or no such file. OSError: it cannot be opened. TypeError, ValueError:
                it is of another model or training. Nothing has changed then.
        """
        restore(self, read(path))

    # --- use ---

    def evaluate(self, data: Any, *, batch_size: int = 32) -> dict[str, Any]:
        """The loss and the metrics of the model over data.

        Arguments:
            data: a `nn.data.DataLoader`, arrays (x, y) or a data set.

        Returns:
            "loss", the mean over all examples, and the results of the metrics by name.
        """
        return self._measured(batches(data, batch_size)).results()

    def _measured(self, loader: Any) -> Sums:
        sums = Sums(copy.deepcopy(self.metrics), self._only_classes)
        with mode(self.model, training=False), tg.no_grad():
            for batch in loader:
                self._pause()
                inputs, targets = parts(batch)
                outputs = self.model(*inputs)
                sums.add(self._loss(outputs, targets).item(), outputs, targets)
        return sums

    def predict(self, x: Any, *, batch_size: int = 32) -> Any:
        """What the model makes of x, with dropout and batch norm in the mode for use.

        Arguments:
            x: an array (N, ...); or a `nn.data.DataLoader` or arrays (x, y), of which the targets are left out.

        Returns:
            An array (N, ...), such as logits (N, C); a tuple of arrays if the model has several outputs.
        """
        alone = isinstance(x, (np.ndarray, tg.Tensor, list))
        if alone:
            x = (np.asarray(x.data if isinstance(x, tg.Tensor) else x),)
        made = []
        with mode(self.model, training=False), tg.no_grad():
            for batch in batches(x, batch_size):
                outputs = self.model(*(batch if alone else parts(batch)[0]))
                made.append([part.data for part in outputs] if isinstance(outputs, tuple) else outputs.data)
        if isinstance(made[0], list):
            return tuple(np.concatenate(parts) for parts in zip(*made, strict=True))
        return np.concatenate(made)


class _Interrupted(Exception):  # noqa: N818 (no error: it carries Ctrl-C to where it is dealt with)
    """Ctrl-C was pressed, and everything is in a state to be saved."""
