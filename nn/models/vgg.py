"""VGG: only convolutions 3x3 and poolings 2x2; after a pooling the channels double."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nn import init
from nn.activation import ReLU
from nn.containers import Sequential
from nn.conv import Conv2d
from nn.dropout import Dropout
from nn.linear import Linear
from nn.models.initial import draw_convolutions
from nn.module import Module
from nn.pooling import AdaptiveAvgPool2d, MaxPool2d
from nn.shape import Flatten

if TYPE_CHECKING:
    Rng = np.random.Generator | None

STAGES = (64, 128, 256, 512, 512)  # channels between one pooling and the next


class VGG(Module):
    """`features`, five stages of convolutions; the average over 7x7 bins; `classifier`, three dense layers.

    The names of the parameters are torchvision's.

    Arguments:
        convolutions: how many of them each stage has. num_classes: how many logits. dropout: the probability after the
            first two dense layers. rng: draws the initial values.

    Input and output: x (N, 3, H, W), made for 224x224, at least 32x32 -> (N, num_classes).
    """

    def __init__(
        self, convolutions: tuple[int, ...], num_classes: int = 1000, dropout: float = 0.5, *, rng: Rng = None
    ) -> None:
        layers: list[Module] = []
        channels = 3
        for depth, width in zip(convolutions, STAGES, strict=True):
            for _ in range(depth):
                layers += [Conv2d(channels, width, 3, padding=1, rng=rng), ReLU()]
                channels = width
            layers.append(MaxPool2d(2))
        self.features = Sequential(*layers)  # (N, 3, 224, 224) -> (N, 512, 7, 7)
        self.avgpool = AdaptiveAvgPool2d(7)
        self.flatten = Flatten()
        self.classifier = Sequential(
            Linear(512 * 7 * 7, 4096, rng=rng),
            ReLU(),
            Dropout(dropout),
            Linear(4096, 4096, rng=rng),
            ReLU(),
            Dropout(dropout),
            Linear(4096, num_classes, rng=rng),
        )
        draw_convolutions(self, rng)
        for layer in self.classifier:
            if isinstance(layer, Linear):
                init.normal_(layer.weight, 0.0, 0.01, rng=rng)
                init.zeros_(layer.bias)  # type: ignore[arg-type]  # they have one

    def forward(self, x: Any) -> Any:
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


def vgg11(num_classes: int = 1000, *, dropout: float = 0.5, rng: Rng = None) -> VGG:
    """VGG with 8 convolutions and 3 dense layers: 132,863,336 parameters.

    Source: Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", 2015; names and
    initial values as in torchvision.
    """
    return VGG((1, 1, 2, 2, 2), num_classes, dropout, rng=rng)


def vgg13(num_classes: int = 1000, *, dropout: float = 0.5, rng: Rng = None) -> VGG:
    """VGG with 10 convolutions and 3 dense layers: 133,047,848 parameters. Source: as `vgg11`."""
    return VGG((2, 2, 2, 2, 2), num_classes, dropout, rng=rng)


def vgg16(num_classes: int = 1000, *, dropout: float = 0.5, rng: Rng = None) -> VGG:
    """VGG with 13 convolutions and 3 dense layers: 138,357,544 parameters. Source: as `vgg11`."""
    return VGG((2, 2, 3, 3, 3), num_classes, dropout, rng=rng)


def vgg19(num_classes: int = 1000, *, dropout: float = 0.5, rng: Rng = None) -> VGG:
    """VGG with 16 convolutions and 3 dense layers: 143,667,240 parameters. Source: as `vgg11`."""
    return VGG((2, 2, 4, 4, 4), num_classes, dropout, rng=rng)
