"""The loop that trains a model, and uses it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import choice, count, number
from nn.loss import CrossEntropyLoss
from nn.module import Module
from nn.optim import Optimizer, ReduceLROnPlateau, Schedule, clip_grad_norm_
from nn.training import progress
from nn.training.batches import batches, counted, finite, mode, parts
from nn.training.callbacks import Callback
from nn.training.history import History
from nn.training.metrics import Accuracy, Metric
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
        history: a `History` of the last `fit`. epoch, step: the number of the running epoch and how many steps were
            made in all. batch: how many steps were made in the epoch.

    Raises:
        TypeError, ValueError: an argument is impossible.

    Example:
        >>> import nn, tensorgraph as tg
        >>> _ = tg.manual_seed(0)
        >>> (x, y), (x_test, y_test) = nn.data.mnist_mini()
        >>> model = nn.models.perceptron()
        >>> trainer = nn.Trainer(model, nn.optim.Adam(model.parameters(), lr=0.003), show="quiet")
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
        self.model, self.optimizer = _checked_pair(model, optimizer)
        self.loss: Callable[[Any, Any], Any] = CrossEntropyLoss() if loss is None else loss
        if not callable(self.loss) or isinstance(self.loss, type):
            raise TypeError(f"Trainer: loss must be a function of outputs and targets, got {loss!r}")
        self._only_classes = metrics is None  # the accuracy is counted where it makes sense
        self.metrics: list[Metric] = _checked_list("metrics", [Accuracy()] if metrics is None else metrics, Metric)
        self.schedule = self._checked_schedule(schedule)
        every = getattr(schedule, "every", "epoch") if schedule_every is None else schedule_every
        self.schedule_every = choice(self, "schedule_every", every, ("epoch", "step"))
        self.clip_norm = None if clip_norm is None else number(self, "clip_norm", clip_norm, 0.0, bounds="(]")
        self.callbacks: list[Callback] = _checked_list("callbacks", callbacks, Callback)
        self.seed = None if seed is None else count(self, "seed", seed, 0)
        self.show = choice(self, "show", show, ("auto", "quiet"))
        self._begin()

    def _checked_schedule(self, schedule: Any) -> Schedule | ReduceLROnPlateau | None:
        if schedule is None:
            return None
        if not isinstance(schedule, (Schedule, ReduceLROnPlateau)):
            raise TypeError(f"Trainer: schedule must be a schedule of nn.optim, got {type(schedule).__name__}")
        if schedule.optimizer is not self.optimizer:
            raise ValueError("Trainer: schedule must be one of the same optimizer, got one of another")
        return schedule

    def _begin(self) -> None:
        """Forget the last run."""
        self.history = History()
        self.epoch = self.batch = self.step = 0
        self._sums = Sums(self.metrics, self._only_classes)
        self._stopped = False

    # --- training ---

    def fit(
        self,
        train: Any,
        validation: Any = None,
        epochs: int = 1,
        *,
        batch_size: int = 32,
    ) -> History:
        """Train the model, and look at it after each epoch.

        Arguments:
            train: a `nn.data.DataLoader`; or arrays (x, y) or a data set, which are shuffled and gone through in
                batches of batch_size. Of a batch with more than two parts the last is the target, and the model gets
                the others.
            validation: the same, or None; it is not shuffled. Dropout and batch norm are in the mode for use.
            epochs: how often to go through the training data.

        Returns:
            The history: figures by epoch.

        Raises:
            FloatingPointError: the loss or a gradient is NaN or infinite. The model is as it was before this step.
        """
        count(self, "epochs", epochs)
        if self.seed is not None:
            tg.manual_seed(self.seed)
        loader = batches(train, batch_size, shuffle=True)
        checks = None if validation is None else batches(validation, batch_size)
        self._begin()
        display = progress.chosen(self.show)
        with mode(self.model, training=True):
            try:
                self._each("on_fit_start")
                while self.epoch < epochs and not self._stopped:
                    self._run_epoch(loader, checks, epochs, display)
                self._each("on_fit_end")
            finally:
                display.close()
        return self.history

    def stop(self) -> None:
        """End the training after this step, if called by a callback at a batch's end, or after this epoch."""
        self._stopped = True

    def _each(self, hook: str) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self)

    def _run_epoch(self, loader: Any, checks: Any, epochs: int, display: progress.Silence) -> None:
        started = time.perf_counter()
        self.epoch += 1
        self.batch = 0
        self._sums.reset()
        display.begin(epochs, self.epoch, len(loader) if hasattr(loader, "__len__") else None, self.batch)
        self._each("on_epoch_start")
        for batch in loader:
            lr = self._lr
            loss = self._step(*parts(batch))
            self.step += 1
            self.batch += 1
            self.history.add_step(loss, lr)
            if self.schedule_every == "step":
                self._step_schedule({"loss": loss})
            display.advance(*counted(batch), self._sums.results())
            self._each("on_batch_end")
            if self._stopped:
                break
        if not self.batch:
            raise ValueError("Trainer.fit: the training data gave no batch; a generator can be gone through only once")
        figures = self._sums.numbers() | {"lr": lr}
        if checks is not None:
            figures |= {f"val_{name}": value for name, value in self._measured(checks).numbers().items()}
        if self.schedule_every == "epoch":
            self._step_schedule(figures)
        seconds = time.perf_counter() - started
        self.history.add(figures, seconds)
        display.end(figures, seconds)
        self._each("on_epoch_end")

    @property
    def _lr(self) -> float:
        """The learning rate of now: the first group's."""
        return float(self.optimizer.param_groups[0]["lr"])

    def _step(self, inputs: Sequence[Any], targets: Any) -> float:
        """One step of the optimizer; returns the loss before it."""
        buffers = [(buffer, buffer.detach()) for buffer in self.model.buffers()]  # copied when they change, not here
        self.optimizer.zero_grad()
        outputs = self.model(*inputs)
        loss = self._loss(outputs, targets)
        value = loss.item()
        if np.isfinite(value):
            loss.backward()
            if all(map(finite, self._gradients())):
                if self.clip_norm is not None:
                    clip_grad_norm_(self.model.parameters(), self.clip_norm)
                self.optimizer.step()
                self._sums.add(value, outputs, targets)
                return value
        with tg.no_grad():
            for buffer, before in buffers:
                buffer[...] = before
        raise FloatingPointError(self._not_finite(value, inputs, targets))

    def _gradients(self) -> Iterator[Array]:
        return (p.grad.data for p in self.model.parameters() if p.grad is not None)

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
        bad = [name for name, part in (("x", inputs), ("y", [targets])) if not all(map(finite, part))]
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


def _checked_pair(model: Any, optimizer: Any) -> tuple[Module, Optimizer]:
    if not isinstance(model, Module):
        raise TypeError(f"Trainer: model must be an nn.Module, got {type(model).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"Trainer: optimizer must be an optimizer of nn.optim, got {type(optimizer).__name__}")
    learned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if learned.isdisjoint(map(id, model.parameters())):
        raise ValueError("Trainer: the optimizer has none of the model's parameters; was the model made anew since?")
    return model, optimizer


def _checked_list(name: str, values: Any, kind: type) -> list[Any]:
    values = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else [values]
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"Trainer: {name} must be a list of nn.training.{kind.__name__}s, got {value!r}")
    return values
