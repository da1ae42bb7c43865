"""The perceptron's training step written by hand in NumPy: what a small network costs without a framework."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from timing import Seconds

Array = np.ndarray[Any, np.dtype[Any]]


class Perceptron:
    """Three dense layers with ReLU between them, cross-entropy, SGD with momentum.

    Arguments:
        parameters: w1, b1, w2, b2, w3, b3, with w (F_out, F_in); copied. images: (N, ...). labels: (N,).
    """

    def __init__(self, parameters: list[Array], images: Array, labels: Array) -> None:
        self.parameters = [p.copy() for p in parameters]
        self.sums = [np.zeros_like(p) for p in parameters]
        self.images, self.labels = images, labels

    def step(self) -> Seconds:
        start = time.perf_counter()
        self.train()
        return (time.perf_counter() - start,)

    def train(self, lr: float = 0.01, momentum: float = 0.9) -> Any:
        """One step; returns the loss before it."""
        w1, b1, w2, b2, w3, b3 = self.parameters
        rows = np.arange(len(self.labels))
        x = self.images.reshape(len(rows), -1)  # (N, 784)
        h1 = np.maximum(x @ w1.T + b1, 0)  # (N, 16)
        h2 = np.maximum(h1 @ w2.T + b2, 0)  # (N, 16)
        z = h2 @ w3.T + b3  # (N, 10)
        z -= z.max(axis=1, keepdims=True)
        e = np.exp(z)
        total = e.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - z[rows, self.labels]).mean()
        g3 = e / total
        g3[rows, self.labels] -= 1
        g3 /= len(rows)
        g2 = (g3 @ w3) * (h2 > 0)
        g1 = (g2 @ w2) * (h1 > 0)
        gradients = (g1.T @ x, g1.sum(axis=0), g2.T @ h1, g2.sum(axis=0), g3.T @ h2, g3.sum(axis=0))
        for p, v, g in zip(self.parameters, self.sums, gradients, strict=True):
            v *= momentum
            v += g
            p -= lr * v
        return loss
