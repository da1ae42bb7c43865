"""Activations and their gradients, compiled. Dense float32 arrays of one shape; the rest is NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import FLOAT32, extension
from tensorgraph.kernels.reference.windows import Array

_native: Any = extension

ndarray = np.ndarray  # one look-up instead of two


def dense(x: Any) -> bool:
    """Whether x is what the kernels take as it is: they would copy an array in another order."""
    return type(x) is ndarray and x.dtype is FLOAT32 and x.flags.c_contiguous and x.ndim > 0


def dense_pair(x: Any, y: Any) -> bool:
    return dense(x) and dense(y) and x.shape == y.shape


def number(x: Any) -> bool:
    return isinstance(x, (int, float))


def relu(x: Array) -> Array:
    return _native.relu(x) if dense(x) else reference.relu(x)


def relu_grad(g: Array, out: Array) -> Array:
    return _native.relu_grad(g, out) if dense_pair(g, out) else reference.relu_grad(g, out)


def leaky_relu(x: Array, negative_slope: float) -> Array:
    if not (dense(x) and number(negative_slope)):
        return reference.leaky_relu(x, negative_slope)
    return _native.leaky_relu(x, negative_slope)


def leaky_relu_grad(g: Array, x: Array, negative_slope: float) -> Array:
    if not (dense_pair(g, x) and number(negative_slope)):
        return reference.leaky_relu_grad(g, x, negative_slope)
    return _native.leaky_relu_grad(g, x, negative_slope)


def sigmoid(x: Array) -> Array:
    return _native.sigmoid(x) if dense(x) else reference.sigmoid(x)


def sigmoid_grad(g: Array, out: Array) -> Array:
    return _native.sigmoid_grad(g, out) if dense_pair(g, out) else reference.sigmoid_grad(g, out)


def tanh(x: Array) -> Array:
    return _native.tanh(x) if dense(x) else reference.tanh(x)


def tanh_grad(g: Array, out: Array) -> Array:
    return _native.tanh_grad(g, out) if dense_pair(g, out) else reference.tanh_grad(g, out)


def elu(x: Array, alpha: float) -> Array:
    return _native.elu(x, alpha) if dense(x) and number(alpha) else reference.elu(x, alpha)


def elu_grad(g: Array, x: Array, alpha: float) -> Array:
    if not (dense_pair(g, x) and number(alpha)):
        return reference.elu_grad(g, x, alpha)
    return _native.elu_grad(g, x, alpha)


def softplus(x: Array) -> Array:
    return _native.softplus(x) if dense(x) else reference.softplus(x)


def softplus_grad(g: Array, x: Array) -> Array:
    return _native.softplus_grad(g, x) if dense_pair(g, x) else reference.softplus_grad(g, x)


def normal_cdf(x: Array) -> Array:
    return _native.normal_cdf(x) if dense(x) else reference.normal_cdf(x)


def gelu(x: Array) -> Array:
    return _native.gelu(x) if dense(x) else reference.gelu(x)


def gelu_grad(g: Array, x: Array) -> Array:
    return _native.gelu_grad(g, x) if dense_pair(g, x) else reference.gelu_grad(g, x)
