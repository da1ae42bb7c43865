"""Metrics: figures that are gathered batch by batch, such as the share of right answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import count

Array = np.ndarray[Any, np.dtype[Any]]


class Metric:
    """The base of the metrics. A subclass counts in `update`, and says in `result` what the counts come to.

    Attributes:
        name: under which the result stands in a history. counts: the names of the attributes that it counts in, whole
            numbers or arrays of such: what is put to 0 by `reset`, and saved.

    Example:
        >>> import nn
        >>> class Sevens(nn.training.Metric):
        ...     name, counts = "sevens", ("found",)
        ...
        ...     def update(self, outputs, targets):
        ...         self.found += int((outputs.argmax(axis=1) == 7).sum())
        ...
        ...     def result(self):
        ...         return self.found
    """

    name: str = "metric"
    counts: tuple[str, ...] = ()

    def reset(self) -> None:
        """Begin anew."""
        for name in self.counts:
            setattr(self, name, np.zeros_like(getattr(self, name, 0))[()])

    def update(self, outputs: Array, targets: Array) -> None:
        """Count one more batch: outputs of the model, such as logits (N, C), and targets, such as classes (N,)."""
        raise NotImplementedError(f"{type(self).__name__}: define update(self, outputs, targets)")

    def result(self) -> Any:
        """What was counted so far: a number, or an array, which is given by `evaluate` but not kept in a history."""
        raise NotImplementedError(f"{type(self).__name__}: define result(self)")

    def state_dict(self) -> dict[str, Any]:
        """The counts by name, copies."""
        return {name: np.array(getattr(self, name)) for name in self.counts}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from the counts of such a metric.

        Raises:
            ValueError: the state does not fit. Nothing has changed then.
        """
        try:
            state = {name: np.array(state_dict[name]) for name in self.counts}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: not the state of such a metric: {error!r}"
            ) from None
        for name, value in state.items():
            own = np.asarray(getattr(self, name))
            if value.shape != own.shape or value.dtype.kind not in "iu":
                raise ValueError(
                    f"{type(self).__name__}.load_state_dict: {name} must be whole numbers of shape {own.shape}, "
                    f"got {value.dtype} of shape {value.shape}"
                )
        for name, value in state.items():
            setattr(self, name, value[()])


class TopK(Metric):
    """The share of examples whose right class is among the k of the highest scores.

    Of equal scores those of the first classes count as the higher ones, as in `argmax`.

    Arguments:
        k: at least 1.

    Input of `update`: outputs (N, C), scores such as logits or probabilities; targets (N,), class numbers, or (N, C),
    of which the largest says the class.

    Raises:
        TypeError, ShapeError: k is no such number, or outputs and targets do not fit.

    Example:
        >>> import nn, numpy as np
        >>> metric = nn.training.TopK(2)
        >>> metric.update(np.array([[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]]), np.array([2, 0]))
        >>> metric.result()
        0.5
    """

    counts = ("right", "seen")

    def __init__(self, k: int) -> None:
        self.k = count(self, "k", k)
        self.name = f"top_{self.k}"
        self.reset()

    def update(self, outputs: Array, targets: Array) -> None:
        outputs, targets = _classified(self, outputs, targets)
        scores = np.take_along_axis(outputs, targets[:, None], axis=1)  # (N, 1), those of the right classes
        ahead = ~(outputs <= scores)  # NaN is ahead of all, as in `argmax`
        ahead |= (outputs == scores) & (np.arange(outputs.shape[1]) < targets[:, None])
        self.right += int((ahead.sum(axis=1) < self.k).sum())
        self.seen += len(targets)

    def result(self) -> float:
        return int(self.right) / int(self.seen) if self.seen else float("nan")

    right: int
    seen: int


class Accuracy(TopK):
    """The share of examples whose right class has the highest score.

    Input of `update`, errors: as `TopK`.

    Example:
        >>> import nn, numpy as np
        >>> metric = nn.training.Accuracy()
        >>> metric.update(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
        >>> metric.result()
        0.5
    """

    def __init__(self) -> None:
        super().__init__(1)
        self.name = "accuracy"

    def update(self, outputs: Array, targets: Array) -> None:  # the same, quicker
        outputs, targets = _classified(self, outputs, targets)
        right = outputs.argmax(axis=1) == targets
        if outputs.size and np.isnan(outputs.max()):
            right &= ~np.isnan(outputs).any(axis=1)
        self.right += int(np.count_nonzero(right))
        self.seen += len(targets)


class ConfusionMatrix(Metric):
    """How many examples of each class were taken for each: row the right class, column the one of the highest score.

    Arguments:
        classes: how many there are.

    Input of `update`, errors: as `TopK`.

    Example:
        >>> import nn, numpy as np
        >>> metric = nn.training.ConfusionMatrix(2)
        >>> metric.update(np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), np.array([1, 1, 1]))
        >>> metric.result()
        array([[0, 0],
               [1, 2]])
    """

    name = "confusion_matrix"
    counts = ("matrix",)

    def __init__(self, classes: int) -> None:
        self.classes = count(self, "classes", classes)
        self.matrix = np.zeros((self.classes, self.classes), np.int64)

    def update(self, outputs: Array, targets: Array) -> None:
        outputs, targets = _classified(self, outputs, targets)
        if outputs.shape[1] != self.classes:
            raise tg.ShapeError(
                f"ConfusionMatrix: expected scores of {self.classes} classes, got outputs of shape {outputs.shape}"
            )
        pairs = targets * self.classes + outputs.argmax(axis=1)
        self.matrix += np.bincount(pairs, minlength=self.classes**2).reshape(self.matrix.shape)

    def result(self) -> Array:
        return self.matrix.copy()


def is_classification(outputs: Array, targets: Array) -> bool:
    """Whether these are scores and class numbers: outputs (N, C), targets (N,) of integers."""
    return outputs.ndim == 2 and targets.ndim == 1 and targets.dtype.kind in "iu" and len(outputs) == len(targets)


def is_share(name: str) -> bool:
    """Whether the figure of that name is a share of right answers: more is better, and it is written in percent."""
    return "accuracy" in name or "top_" in name


def _classified(metric: Metric, outputs: Array, targets: Array) -> tuple[Array, Array]:
    """Scores (N, C) and class numbers (N,); targets (N, C) are taken for the class of their largest."""
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    if targets.ndim == 2 and targets.shape == outputs.shape:
        targets = targets.argmax(axis=1)
    if not is_classification(outputs, targets):
        raise tg.ShapeError(
            f"{type(metric).__name__}: expected outputs (N, C) and integer targets (N,), got {outputs.dtype} "
            f"{outputs.shape} and {targets.dtype} {targets.shape}"
        )
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < outputs.shape[1]:
        raise ValueError(
            f"{type(metric).__name__}: targets must be classes in 0..{outputs.shape[1] - 1}, "
            f"got {targets.min()}..{targets.max()}"
        )
    return outputs, targets.astype(np.int64, copy=False)
