"""The linear layer and its gradients, and the product of matrices."""

from __future__ import annotations

import math

import numpy as np

from tensorgraph.kernels.reference.activations import activate, activate_grad
from tensorgraph.kernels.reference.windows import Array


def linear(x: Array, w: Array, b: Array | None, activation: str = "none") -> Array:
    """act(x w^T + b) for x (..., K), w (F, K), b (F,) or None -> (..., F); act is as in `activate`.

    Raises:
        ValueError: they are not floats of one type that fit each other.
    """
    if not (x.dtype.kind == "f" and w.ndim == 2 and x.shape[-1:] == w.shape[1:] and w.dtype == x.dtype):
        raise ValueError("linear: x does not fit w")
    if not (b is None or (b.shape == w.shape[:1] and b.dtype == x.dtype)):
        raise ValueError("linear: b does not fit w")
    out = np.matmul(x, w.T)
    if b is not None:
        out += b
    return activate(out, activation)


def linear_input_grad(g: Array, w: Array) -> Array:
    """The gradient of x from that of x w^T, g (..., F): g w."""
    return np.matmul(g, w)


def linear_grads(
    g: Array, x: Array, w: Array, input_too: bool, out: Array | None = None, activation: str = "none"
) -> tuple[Array | None, Array, Array]:
    """The gradients of x, w and b from that of out = act(x w^T + b), g (..., F): g w, g^T x, and sums of columns, with
    the activation's slope in g; that of x only if it is asked for. Without an activation, out does not matter.
    """
    if out is not None and activation != "none":
        g = activate_grad(g, out, activation)
    dx = linear_input_grad(g, w) if input_too else None
    return dx, np.matmul(rows(g).T, rows(x)), rows(g).sum(axis=0)


def rows(x: Array) -> Array:
    """(..., F) -> (N, F)"""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def matmul(x: Array, y: Array) -> Array:
    """x y, as `numpy.matmul`."""
    return np.matmul(x, y)
