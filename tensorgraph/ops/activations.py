"""Activation functions. Element-wise; written so that large inputs neither overflow nor warn.

A rule calls a kernel on arrays. On tensors, for higher derivatives, it is spelled in operations, which are recorded.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorgraph import kernels
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
    return kernels.relu(x)


relu.vjp(x=lambda g, out, x: kernels.relu_grad(g, out) if isinstance(g, np.ndarray) else where(x <= 0, 0.0, g))


@elementwise(gate="max")
def leaky_relu(x: Array, /, negative_slope: float = 0.01) -> Array:
    """x where x > 0, negative_slope * x elsewhere.

    Example:
        >>> import tensorgraph as tg
        >>> tg.leaky_relu(tg.tensor([-1.0, 2.0]))
        tensor([-0.01,  2.  ])
    """
    return kernels.leaky_relu(x, negative_slope)


def _leaky_relu_rule(g: Any, out: Any, x: Any, negative_slope: float = 0.01) -> Any:
    if isinstance(g, np.ndarray):
        return kernels.leaky_relu_grad(g, x, negative_slope)
    return where(x > 0, g, g * negative_slope)


leaky_relu.vjp(x=_leaky_relu_rule)


@elementwise(gate="function")
def elu(x: Array, /, alpha: float = 1.0) -> Array:
    """x where x > 0, alpha (e^x - 1) elsewhere. d/dx = 1 or alpha e^x.

    Source: Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear
    units", 2016.
    """
    return kernels.elu(x, alpha)


def _elu_rule(g: Any, out: Any, x: Any, alpha: float = 1.0) -> Any:
    if isinstance(g, np.ndarray):
        return kernels.elu_grad(g, x, alpha)
    return where(x > 0, g, g * alpha * exp(where(x >= 0, 0.0, x)))


elu.vjp(x=_elu_rule)


@elementwise(gate="function")
def gelu(x: Array, /) -> Array:
    """x P(X <= x) for a standard normal X: x/2 (1 + erf(x / sqrt 2)). d/dx = P(X <= x) + x density(x).

    Source: Hendrycks, Gimpel, "Gaussian error linear units", 2016.
    """
    return kernels.gelu(x)


@elementwise(gate="function", name="normal_cdf")
def _normal_cdf(x: Array, /) -> Array:
    """P(X <= x) for a standard normal X; its derivative is the bell curve."""
    return kernels.normal_cdf(x)


def _bell(x: Any) -> Any:
    return exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))


def _gelu_rule(g: Any, out: Any, x: Any) -> Any:
    return kernels.gelu_grad(g, x) if isinstance(g, np.ndarray) else g * (_normal_cdf(x) + x * _bell(x))


_normal_cdf.vjp(x=lambda g, out, x: g * _bell(x))
gelu.vjp(x=_gelu_rule)


@elementwise(gate="function")
def sigmoid(x: Array, /) -> Array:
    """1 / (1 + e^-x). d/dx = sigmoid(x) (1 - sigmoid(x)).

    Example:
        >>> import tensorgraph as tg
        >>> tg.sigmoid(tg.tensor([0.0, 1.0]))
        tensor([0.5      , 0.7310586])

    Source: course, worked example W1.
    """
    return kernels.sigmoid(x)


sigmoid.vjp(x=lambda g, out, x: kernels.sigmoid_grad(g, out) if isinstance(g, np.ndarray) else g * out * (1 - out))


@elementwise(gate="function")
def softplus(x: Array, /) -> Array:
    """log(1 + e^x), a smooth ReLU. d/dx = sigmoid(x)."""
    return kernels.softplus(x)


softplus.vjp(x=lambda g, out, x: kernels.softplus_grad(g, x) if isinstance(g, np.ndarray) else g * sigmoid(x))
