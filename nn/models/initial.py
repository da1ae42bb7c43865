"""The initial values that VGG and ResNet share."""

from __future__ import annotations

import numpy as np

from nn import init
from nn.conv import Conv2d
from nn.module import Module


def draw_convolutions(model: Module, rng: np.random.Generator | None) -> None:
    """Normal numbers that keep the variance of the gradients through ReLU; biases 0."""
    for _, layer in model.named_modules():
        if isinstance(layer, Conv2d):
            init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", rng=rng)
            if layer.bias is not None:
                init.zeros_(layer.bias)
