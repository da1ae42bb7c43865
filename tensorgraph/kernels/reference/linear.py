"""The linear layer, and the products and sums of which its gradients are made."""

from __future__ import annotations

import numpy as np

from tensorgraph.kernels.reference.windows import Array


def linear(x: Array, w: Array, b: Array | None, activation: str = "none") -> Array:
    """act(x w^T + b) for x (..., K), w (F, K), b (F,) or None -> (..., F); the activation is "none" or "relu"."""
    out = np.matmul(x, w.T)
    if b is not None:
        out += b
    return np.maximum(out, 0) if activation == "relu" else out


def matmul(x: Array, y: Array) -> Array:
    """x y, as `numpy.matmul`."""
    return np.matmul(x, y)


def column_sums(x: Array) -> Array:
    """The sums over the rows: (N, F) -> (F,)."""
    return x.sum(axis=0)
