"""The loss and the metrics of a training or an evaluation, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nn.training.metrics import Metric, is_classification


class Sums:
    """The loss and the metrics over the batches so far."""

    def __init__(self, metrics: list[Metric], only_classes: bool) -> None:
        self.metrics = metrics
        self.only_classes = only_classes  # leave metrics alone where targets are no class numbers
        self.reset()

    def reset(self) -> None:
        self.loss, self.examples, self.measured = 0.0, 0, False
        for metric in self.metrics:
            metric.reset()

    def add(self, loss: float, outputs: Any, targets: Any) -> None:
        examples = len(targets)
        self.loss += loss * examples
        self.examples += examples
        scores = (outputs[0] if isinstance(outputs, (tuple, list)) else outputs).data
        targets = np.asarray(targets)
        if not self.only_classes or is_classification(scores, targets):
            self.measured = True
            for metric in self.metrics:
                metric.update(scores, targets)

    def results(self) -> dict[str, Any]:
        """All by name."""
        if not self.examples:
            raise ValueError("Trainer: the data gave no batch; a generator can be gone through only once")
        results = {metric.name: metric.result() for metric in self.metrics} if self.measured else {}
        return {"loss": self.loss / self.examples, **results}

    def numbers(self) -> dict[str, float]:
        """Those that are numbers."""
        return {name: float(value) for name, value in self.results().items() if np.ndim(value) == 0}

    # --- saving ---

    def state_dict(self) -> dict[str, Any]:
        metrics = {metric.name: metric.state_dict() for metric in self.metrics}
        return {"loss": self.loss, "examples": self.examples, "measured": self.measured, "metrics": metrics}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        try:
            loss, examples = float(state_dict["loss"]), int(state_dict["examples"])
            measured, metrics = bool(state_dict["measured"]), dict(state_dict["metrics"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"Trainer.load: not the sums of a training: {error!r}") from None
        own = {metric.name: metric for metric in self.metrics}
        if own.keys() != metrics.keys():
            raise ValueError(
                f"Trainer.load: the checkpoint is of a training with the metrics {', '.join(metrics) or 'none'}; "
                f"this is one with {', '.join(own) or 'none'}"
            )
        for name, metric in own.items():
            metric.load_state_dict(metrics[name])
        self.loss, self.examples, self.measured = loss, examples, measured
