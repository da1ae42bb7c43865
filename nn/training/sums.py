"""The loss and the metrics of a training or an evaluation, batch by batch."""

from __future__ import annotations

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
