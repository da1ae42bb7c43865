"""The small networks of the course, for images of 28x28 and 32x32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nn.activation import LeakyReLU, ReLU
from nn.containers import Sequential
from nn.conv import Conv2d
from nn.dropout import Dropout
from nn.linear import Linear
from nn.module import Module
from nn.pooling import AvgPool2d, MaxPool2d
from nn.shape import Flatten

if TYPE_CHECKING:
    Rng = np.random.Generator | None


class Classifier(Module):
    """`features` turns images into maps, `classifier` the flattened maps into logits."""

    def __init__(self, features: Module, classifier: Module) -> None:
        self.features = features
        self.flatten = Flatten()
        self.classifier = classifier

    def forward(self, x: Any) -> Any:
        return self.classifier(self.flatten(self.features(x)))


def numpy_cnn(*, rng: Rng = None) -> Classifier:
    """Two convolutions and two dense layers for 28x28 grey images: 105,634 parameters.

    Example:
        >>> import nn
        >>> sum(p.size for p in nn.models.numpy_cnn().parameters())
        105634
    """
    features = Sequential(
        Conv2d(1, 8, 5, rng=rng),  # (N, 1, 28, 28) -> (N, 8, 24, 24)
        ReLU(),
        Conv2d(8, 8, 5, rng=rng),  # -> (N, 8, 20, 20)
        ReLU(),
        MaxPool2d(2),  # -> (N, 8, 10, 10)
    )
    return Classifier(features, Sequential(Linear(800, 128, rng=rng), ReLU(), Linear(128, 10, rng=rng)))


def student_mnist(pooling: str = "max", *, rng: Rng = None) -> Classifier:
    """The student project's network for 28x28 grey images: 68,030 parameters.

    Arguments:
        pooling: "max" or "avg".
    """
    pools: dict[str, type[MaxPool2d] | type[AvgPool2d]] = {"max": MaxPool2d, "avg": AvgPool2d}
    if pooling not in pools:
        raise ValueError(f'student_mnist: pooling must be "max" or "avg", got {pooling!r}')
    features = Sequential(
        Conv2d(1, 20, 3, rng=rng),  # (N, 1, 28, 28) -> (N, 20, 26, 26)
        LeakyReLU(),
        pools[pooling](2),  # -> (N, 20, 13, 13)
    )
    return Classifier(features, Sequential(Linear(3380, 20, rng=rng), LeakyReLU(), Linear(20, 10, rng=rng)))


def student_cifar(*, rng: Rng = None) -> Classifier:
    """The student project's network for 32x32 colour images: 12,064 parameters."""
    features = Sequential(
        Conv2d(3, 6, 4, rng=rng),  # (N, 3, 32, 32) -> (N, 6, 29, 29)
        LeakyReLU(),
        MaxPool2d(2),  # -> (N, 6, 14, 14)
    )
    return Classifier(features, Linear(1176, 10, rng=rng))


def perceptron(*, rng: Rng = None) -> Sequential:
    """Three dense layers for 28x28 grey images: 13,002 parameters."""
    return Sequential(
        Flatten(),  # (N, 1, 28, 28) -> (N, 784)
        Linear(784, 16, rng=rng),
        ReLU(),
        Linear(16, 16, rng=rng),
        ReLU(),
        Linear(16, 10, rng=rng),
    )


def codelab_cnn(*, rng: Rng = None) -> Classifier:
    """Three convolutions, strides instead of pooling, for 28x28 grey images: 354,002 parameters."""
    features = Sequential(
        Conv2d(1, 12, 3, padding="same", rng=rng),  # (N, 1, 28, 28) -> (N, 12, 28, 28)
        ReLU(),
        Conv2d(12, 24, 6, stride=2, padding="same", rng=rng),  # -> (N, 24, 14, 14)
        ReLU(),
        Conv2d(24, 32, 6, stride=2, padding="same", rng=rng),  # -> (N, 32, 7, 7)
        ReLU(),
    )
    return Classifier(features, Sequential(Linear(1568, 200, rng=rng), ReLU(), Linear(200, 10, rng=rng)))


def keras_convnet(*, dropout: float = 0.5, rng: Rng = None) -> Classifier:
    """Keras' example for 28x28 grey images, two convolutions and a dense layer: 34,826 parameters.

    Arguments:
        dropout: the probability before the dense layer.
    """
    features = Sequential(
        Conv2d(1, 32, 3, rng=rng),  # (N, 1, 28, 28) -> (N, 32, 26, 26)
        ReLU(),
        MaxPool2d(2),  # -> (N, 32, 13, 13)
        Conv2d(32, 64, 3, rng=rng),  # -> (N, 64, 11, 11)
        ReLU(),
        MaxPool2d(2),  # -> (N, 64, 5, 5)
    )
    return Classifier(features, Sequential(Dropout(dropout), Linear(1600, 10, rng=rng)))
