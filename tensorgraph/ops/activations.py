"""Activation functions. Element-wise; written so that large inputs neither overflow nor warn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorgraph._primitive import elementwise
from tensorgraph._tape import Array
from tensorgraph.ops.elementwise import exp, where


@elementwise(gate="max")
def relu(x: Array, /) -> Array:
    """max(x, 0). Routes: the gradient passes where x > 0; the derivative at 0 is 0. NaN stays NaN.

    Example:
        >>> import tensorgraph as tg
        >>> tg.relu(tg.tensor([-1.0, 0.0, 2.0]))
        tensor([0., 0., 2.])

    Source: course, section 1, conventions at kinks.
    """
    return np.maximum(x, 0)


relu.vjp(x=lambda g, out, x: where(x <= 0, 0.0, g))


@elementwise(gate="max")
def leaky_relu(x: Array, /, negative_slope: float = 0.01) -> Array:
    """x where x > 0, negative_slope * x elsewhere.

    Example:
        >>> import tensorgraph as tg
        >>> tg.leaky_relu(tg.tensor([-1.0, 2.0]))
        tensor([-0.01,  2.  ])
    """
    return np.where(x > 0, x, x * negative_slope)


leaky_relu.vjp(x=lambda g, out, x, negative_slope=0.01: where(x > 0, g, g * negative_slope))


@elementwise(gate="function")
def elu(x: Array, /, alpha: float = 1.0) -> Array:
    """x where x > 0, alpha (e^x - 1) elsewhere. d/dx = 1 or alpha e^x.

    Source: Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear
    units", 2016.
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


elu.vjp(x=lambda g, out, x, alpha=1.0: where(x <= 0, g * alpha * exp(where(x < 0, x, 0.0)), g))


@elementwise(gate="function")
def gelu(x: Array, /) -> Array:
    """x P(X <= x) for a standard normal X: x/2 (1 + erf(x / sqrt 2)). d/dx = P(X <= x) + x density(x).

    Source: Hendrycks, Gimpel, "Gaussian error linear units", 2016.
    """
    return x * _normal_cdf.forward(x)


@elementwise(gate="function", name="normal_cdf")
def _normal_cdf(x: Array, /) -> Array:
    """P(X <= x) for a standard normal X; its derivative is the bell curve."""
    return (0.5 * _erfc(x * -math.sqrt(0.5))).astype((x * 1.0).dtype)


def _bell(x: Any) -> Any:
    return exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))


_erfc: Any = np.vectorize(math.erfc, otypes=[np.float64])  # NumPy has none; slow but right to the last digit
_normal_cdf.vjp(x=lambda g, out, x: g * _bell(x))
gelu.vjp(x=lambda g, out, x: g * (_normal_cdf(x) + x * _bell(x)))


@elementwise(gate="function")
def sigmoid(x: Array, /) -> Array:
    """1 / (1 + e^-x). d/dx = sigmoid(x) (1 - sigmoid(x)).

    Example:
        >>> import tensorgraph as tg
        >>> tg.sigmoid(tg.tensor([0.0, 1.0]))
        tensor([0.5      , 0.7310586])

    Source: course, worked example W1.
    """
    small = np.exp(np.abs(x) * -1.0)  # never overflows
    return np.where(np.greater_equal(x, 0), 1.0, small) / (1 + small)


sigmoid.vjp(x=lambda g, out, x: g * out * (1 - out))


@elementwise(gate="function")
def softplus(x: Array, /) -> Array:
    """log(1 + e^x), a smooth ReLU. d/dx = sigmoid(x)."""
    return np.logaddexp(x, 0)


softplus.vjp(x=lambda g, out, x: g * sigmoid(x))
