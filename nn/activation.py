"""Activation functions as layers. Element-wise, but for `Softmax`: x of any shape -> the same shape."""

from __future__ import annotations

from typing import Any

import tensorgraph as tg
from nn._checks import number
from nn.module import Module


class ReLU(Module):
    """max(x, 0).

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.ReLU()(tg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def forward(self, x: Any) -> Any:
        return tg.relu(x)


class LeakyReLU(Module):
    """x where x > 0, negative_slope * x elsewhere.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.LeakyReLU(0.1)(tg.tensor([-1.0, 2.0]))
        tensor([-0.1,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = number(self, "negative_slope", negative_slope, 0.0)

    def forward(self, x: Any) -> Any:
        return tg.leaky_relu(x, negative_slope=self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where x > 0, alpha (e^x - 1) elsewhere.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.ELU()(tg.tensor([0.0, 2.0]))
        tensor([0., 2.])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number(self, "alpha", alpha, 0.0)

    def forward(self, x: Any) -> Any:
        return tg.elu(x, alpha=self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """x times the probability that a standard normal number is below x.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.GELU()(tg.tensor([0.0, 100.0]))
        tensor([  0., 100.])
    """

    def forward(self, x: Any) -> Any:
        return tg.gelu(x)


class Sigmoid(Module):
    """1 / (1 + e^-x).

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Sigmoid()(tg.tensor([0.0]))
        tensor([0.5])
    """

    def forward(self, x: Any) -> Any:
        return tg.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Tanh()(tg.tensor([0.0]))
        tensor([0.])
    """

    def forward(self, x: Any) -> Any:
        return tg.tanh(x)


class Arctan(Module):
    """The arc tangent, one of the course's activations.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Arctan()(tg.tensor([0.0]))
        tensor([0.])
    """

    def forward(self, x: Any) -> Any:
        return tg.arctan(x)


class Softmax(Module):
    """e^x / sum(e^x) along the axis `dim`: positive numbers that sum to 1.

    A network that is trained with `CrossEntropyLoss` must not end in it: that loss has its own.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Softmax(dim=1)(tg.zeros(1, 4))
        tensor([[0.25, 0.25, 0.25, 0.25]])
    """

    def __init__(self, dim: int = -1) -> None:
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"Softmax: dim must be an integer, got {dim!r}")
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return tg.softmax(x, axis=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softplus(Module):
    """log(1 + e^(beta x)) / beta, a smooth ReLU.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Softplus()(tg.tensor([100.0]))
        tensor([100.])
    """

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = number(self, "beta", beta, 0.0, bounds="(]")

    def forward(self, x: Any) -> Any:
        return tg.softplus(x) if self.beta == 1 else tg.softplus(x * self.beta) / self.beta

    def extra_repr(self) -> str:
        return f"beta={self.beta}"
