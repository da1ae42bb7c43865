"""The training of the main command: a small convolutional network on the digits that come with the library."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tensorgraph as tg
from nn import data, models
from nn.loss import CrossEntropyLoss
from nn.module import Module
from nn.optim import Adam


class Progress(NamedTuple):
    """Where a training stands."""

    epoch: int  # 1, 2, ... epochs
    epochs: int
    batch: int  # 1, 2, ... batches
    batches: int
    loss: float  # the mean over this epoch so far
    accuracy: float | None  # on the test images, after the last batch of an epoch
    seconds: float  # since the beginning


def train_mnist(
    epochs: int = 8, seed: int = 0, show: Callable[[Progress], None] = lambda progress: None
) -> tuple[Module, float]:
    """Train `numpy_cnn` on `mnist_mini` with Adam, the learning rate falling evenly from epoch to epoch.

    The images of a batch are shifted by up to a pixel: 5,000 are so few that the network would learn them
    by heart.

    Arguments:
        epochs: how often to go through the training images. seed: of the initial weights and the order of the images.
        show: called after every batch.

    Returns:
        The model and its accuracy on the test images.
    """
    started = time.monotonic()
    rng = np.random.default_rng(seed)
    (x_train, y_train), (x_test, y_test) = data.mnist_mini()
    loader = data.DataLoader((x_train, y_train), batch_size=32, shuffle=True, rng=rng, transform=_shifted(rng))
    model = models.numpy_cnn(rng=rng)
    loss_function = CrossEntropyLoss()
    optimizer = Adam(model.parameters(), lr=0.003)
    test_accuracy = 0.0
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 0.003 * (1 - epoch / epochs)
        total = 0.0
        for batch, (x, y) in enumerate(loader, 1):
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
            last = batch == len(loader)
            if last:
                test_accuracy = accuracy(model, x_test, y_test)
            measured = test_accuracy if last else None
            elapsed = time.monotonic() - started
            show(Progress(epoch + 1, epochs, batch, len(loader), total / batch, measured, elapsed))
    return model, test_accuracy


def _shifted(rng: np.random.Generator) -> Callable[[Any], Any]:
    """A transform of images (N, C, H, W): all are moved by up to one pixel up or down, left or right, at random."""
    return lambda images: np.roll(images, rng.integers(-1, 2, size=2), axis=(2, 3))


def accuracy(model: Module, x: Any, y: Any) -> float:
    """The share of images x (N, C, H, W) that the model gives the class y (N,)."""
    right, training = 0, model.training
    model.eval()
    with tg.no_grad():
        for images, classes in data.DataLoader((x, y), batch_size=100):
            right += int((model(images).data.argmax(axis=1) == classes).sum())
    model.train(training)
    return right / len(y)
