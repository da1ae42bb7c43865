"""The fully connected layer, and the initial values it shares with convolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tensorgraph as tg
from nn import init
from nn._checks import count
from nn.module import Module, Parameter


def weight_and_bias(
    shape: tuple[int, ...], outputs: int, bias: bool, rng: np.random.Generator | None
) -> tuple[Parameter, Parameter | None]:
    """A weight (F_out, F_in, *kernel) and a bias (outputs,), both uniform in +-1 / sqrt(fan_in) as in PyTorch."""
    weight = Parameter(np.empty(shape, np.float32))
    init.kaiming_uniform_(weight, a=math.sqrt(5), rng=rng)  # the gain of sqrt(5) makes the bound 1 / sqrt(fan_in)
    if not bias:
        return weight, None
    bound = 1 / math.sqrt(init.fans(shape)[0])
    shift = Parameter(np.empty(outputs, np.float32))
    init.uniform_(shift, -bound, bound, rng=rng)
    return weight, shift


class Linear(Module):
    """Every output is a weighted sum of all inputs and a bias: x W^T + b.

    Arguments:
        in_features, out_features: F_in and F_out. bias: whether there is a b. rng: draws the initial values.

    Parameters: weight (F_out, F_in), bias (F_out,), uniform in +-1 / sqrt(F_in).
    Input and output: x (..., F_in) -> (..., F_out).

    Raises:
        ShapeError, TypeError: a size is not a positive integer; x has another number of features.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Linear(400, 120)(tg.zeros(32, 400)).shape
        (32, 120)

    Source: PyTorch's torch.nn.Linear.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, rng: np.random.Generator | None = None
    ) -> None:
        self.in_features = count(self, "in_features", in_features)
        self.out_features = count(self, "out_features", out_features)
        self.weight, self.bias = weight_and_bias((self.out_features, self.in_features), self.out_features, bias, rng)

    def forward(self, x: Any) -> Any:
        return tg.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
