"""LeNet-5 and AlexNet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nn.activation import ReLU, Tanh
from nn.containers import Sequential
from nn.conv import Conv2d
from nn.dropout import Dropout
from nn.linear import Linear
from nn.models.small import Classifier
from nn.normalization import LocalResponseNorm
from nn.pooling import AvgPool2d, MaxPool2d

if TYPE_CHECKING:
    Rng = np.random.Generator | None


def lenet5(num_classes: int = 10, image_size: int = 32, *, rng: Rng = None) -> Classifier:
    """LeNet-5 for grey images, with tanh and average pooling: 61,706 parameters.

    Arguments:
        num_classes: how many logits. image_size: 32, or 28, for which the first convolution adds a border of 2.
            rng: draws the initial values.

    Input and output: x (N, 1, image_size, image_size) -> (N, num_classes).

    Raises:
        ValueError: another image_size.

    Example:
        >>> import nn
        >>> nn.summary(nn.models.lenet5(), (1, 32, 32)).parameters
        61706

    Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998.
    """
    if image_size not in (28, 32):
        raise ValueError(f"lenet5: image_size must be 32 or 28, got {image_size!r}")
    features = Sequential(
        Conv2d(1, 6, 5, padding=(32 - image_size) // 2, rng=rng),  # (N, 1, 32, 32) -> (N, 6, 28, 28)
        Tanh(),
        AvgPool2d(2),  # -> (N, 6, 14, 14)
        Conv2d(6, 16, 5, rng=rng),  # -> (N, 16, 10, 10)
        Tanh(),
        AvgPool2d(2),  # -> (N, 16, 5, 5)
        Conv2d(16, 120, 5, rng=rng),  # -> (N, 120, 1, 1)
        Tanh(),
    )
    return Classifier(features, Sequential(Linear(120, 84, rng=rng), Tanh(), Linear(84, num_classes, rng=rng)))


def alexnet(num_classes: int = 1000, *, dropout: float = 0.5, rng: Rng = None) -> Classifier:
    """AlexNet in one tower, for colour images of 227x227: 62,378,344 parameters.

    Arguments:
        num_classes: how many logits. dropout: the probability before the first two dense layers.
            rng: draws the initial values.

    Input and output: x (N, 3, 227, 227) -> (N, num_classes).

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012.
    """
    features = Sequential(
        Conv2d(3, 96, 11, stride=4, rng=rng),  # (N, 3, 227, 227) -> (N, 96, 55, 55)
        ReLU(),
        LocalResponseNorm(5, alpha=5e-4, k=2.0),
        MaxPool2d(3, 2),  # -> (N, 96, 27, 27)
        Conv2d(96, 256, 5, padding=2, rng=rng),  # -> (N, 256, 27, 27)
        ReLU(),
        LocalResponseNorm(5, alpha=5e-4, k=2.0),
        MaxPool2d(3, 2),  # -> (N, 256, 13, 13)
        Conv2d(256, 384, 3, padding=1, rng=rng),  # -> (N, 384, 13, 13)
        ReLU(),
        Conv2d(384, 384, 3, padding=1, rng=rng),
        ReLU(),
        Conv2d(384, 256, 3, padding=1, rng=rng),  # -> (N, 256, 13, 13)
        ReLU(),
        MaxPool2d(3, 2),  # -> (N, 256, 6, 6)
    )
    classifier = Sequential(
        Dropout(dropout),
        Linear(256 * 6 * 6, 4096, rng=rng),
        ReLU(),
        Dropout(dropout),
        Linear(4096, 4096, rng=rng),
        ReLU(),
        Linear(4096, num_classes, rng=rng),
    )
    return Classifier(features, classifier)
