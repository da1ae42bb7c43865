"""Activations and their gradients in NumPy. `g` is the upstream gradient, `out` what the activation gave for `x`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorgraph.kernels.reference.windows import Array


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def relu_grad(g: Array, out: Array) -> Array:
    """g where x > 0 or NaN."""
    return np.where(out <= 0, g.dtype.type(0), g)


def leaky_relu(x: Array, negative_slope: float) -> Array:
    return np.where(x > 0, x, x * negative_slope)


def leaky_relu_grad(g: Array, x: Array, negative_slope: float) -> Array:
    return np.where(x > 0, g, g * negative_slope)


def sigmoid(x: Array) -> Array:
    small = np.exp(np.abs(x) * -1.0)  # never overflows
    return np.where(np.greater_equal(x, 0), 1.0, small) / (1 + small)


def sigmoid_grad(g: Array, out: Array) -> Array:
    return g * out * (1 - out)


def tanh(x: Array) -> Array:
    return np.tanh(x)


def tanh_grad(g: Array, out: Array) -> Array:
    return g * (1 - out * out)


def elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_grad(g: Array, x: Array, alpha: float) -> Array:
    return np.where(x > 0, g, g * alpha * np.exp(np.minimum(x, 0)))


def softplus(x: Array) -> Array:
    return np.logaddexp(x, 0)


def softplus_grad(g: Array, x: Array) -> Array:
    return g * sigmoid(x)


def activate(x: Array, activation: str) -> Array:
    """The activation of that name; "none" is x itself."""
    return x if activation == "none" else {"relu": relu, "tanh": tanh, "sigmoid": sigmoid}[activation](x)


def activate_grad(g: Array, out: Array, activation: str) -> Array:
    """The gradient of x from that of `activate(x, activation)`, which gave `out`."""
    return {"relu": relu_grad, "tanh": tanh_grad, "sigmoid": sigmoid_grad}[activation](g, out)


_erfc: Any = np.vectorize(math.erfc, otypes=[np.float64])  # NumPy has none; slow but right to the last digit


def normal_cdf(x: Array) -> Array:
    """P(X <= x) for a standard normal X."""
    return (0.5 * _erfc(x * -math.sqrt(0.5))).astype((x * 1.0).dtype)


def gelu(x: Array) -> Array:
    return x * normal_cdf(x)


def gelu_grad(g: Array, x: Array) -> Array:
    return g * (normal_cdf(x) + x * (np.exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))))
