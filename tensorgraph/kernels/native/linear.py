"""The linear layer and its gradients, and the product of matrices, compiled for float32."""

from __future__ import annotations

from typing import Any

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import ACTIVATIONS, FLOAT32, extension
from tensorgraph.kernels.reference.linear import rows
from tensorgraph.kernels.reference.windows import Array

_native: Any = extension


def linear(x: Array, w: Array, b: Array | None, activation: str = "none") -> Array:
    if x.dtype != FLOAT32:
        return reference.linear(x, w, b, activation)
    if x.ndim != 2:
        return linear(rows(x), w, b, activation).reshape((*x.shape[:-1], len(w)))
    out: Array = _native.linear(x, w, b, ACTIVATIONS[activation])
    return out


def linear_input_grad(g: Array, w: Array) -> Array:
    if g.dtype != FLOAT32:
        return reference.linear_input_grad(g, w)
    if g.ndim != 2:
        return linear_input_grad(rows(g), w).reshape((*g.shape[:-1], w.shape[1]))
    out: Array = _native.matmul(g, w)
    return out


def linear_grads(
    g: Array, x: Array, w: Array, input_too: bool, out: Array | None = None, activation: str = "none"
) -> tuple[Array | None, Array, Array]:
    if g.dtype != FLOAT32:
        return reference.linear_grads(g, x, w, input_too, out, activation)
    if g.ndim != 2:
        flat = None if out is None else rows(out)
        dx, dw, db = linear_grads(rows(g), rows(x), w, input_too, flat, activation)
        return None if dx is None else dx.reshape(x.shape), dw, db
    given = None if activation == "none" else out
    dx, dw, db = _native.linear_grads(g, x, w, given, len(g) if input_too else 0, ACTIVATIONS[activation])
    return dx if input_too else None, dw, db


def matmul(x: Array, y: Array) -> Array:
    if x.ndim == 2 == y.ndim and x.dtype == FLOAT32 == y.dtype:
        if y.flags.c_contiguous:
            return _native.matmul_tn(x.T, y) if x.flags.f_contiguous else _native.matmul(x, y)
        if y.flags.f_contiguous and x.flags.c_contiguous:
            return _native.linear(x, y.T, None, 0)
    return reference.matmul(x, y)
