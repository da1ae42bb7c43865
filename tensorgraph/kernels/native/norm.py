"""Batch normalization, dropout, sums over all but the channels, compiled. Dense float32; the rest is NumPy's."""

from __future__ import annotations

from typing import Any

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import ACTIVATIONS, FLOAT32, LARGE, extension
from tensorgraph.kernels.native.activations import dense, dense_pair
from tensorgraph.kernels.reference.norm import dropout_scale, dropped_below
from tensorgraph.kernels.reference.windows import Array

_native: Any = extension

IN_REGISTERS = ("none", "relu")  # the activations that these kernels know


def _flat(x: Array) -> Array:
    """(N, C, ...) -> (N, C, S)."""
    return x.reshape(*x.shape[:2], x.size // (x.shape[0] * x.shape[1]))


def _per_channel(v: Array | None) -> bool:
    return v is None or v.dtype is FLOAT32


# --- batch normalization ---------------------------------------------------------------------------------------------


def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float, activation: str = "none"
) -> tuple[Array, Array, Array]:
    if not (dense(x) and x.size and _per_channel(weight) and _per_channel(bias) and activation in IN_REGISTERS):
        return reference.batch_norm(x, weight, bias, eps, activation)
    out, mean, var = _native.batch_norm(_flat(x), weight, bias, ACTIVATIONS[activation], eps)
    return out.reshape(x.shape), mean, var


def batch_norm_grad(
    g: Array,
    x: Array,
    weight: Array | None,
    bias: Array | None,
    mean: Array,
    var: Array,
    eps: float,
    activation: str = "none",
) -> tuple[Array, Array, Array]:
    known = dense_pair(g, x) and x.size and all(map(_per_channel, (weight, bias, mean, var)))
    if not (known and activation in IN_REGISTERS):
        return reference.batch_norm_grad(g, x, weight, bias, mean, var, eps, activation)
    x_grad, weight_grad, bias_grad = _native.batch_norm_grad(
        _flat(g), _flat(x), weight, bias, mean, var, ACTIVATIONS[activation], eps
    )
    return x_grad.reshape(x.shape), weight_grad, bias_grad


def batch_norm_in_use(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
    if not (dense(x) and x.size and all(map(_per_channel, (mean, var, weight, bias)))):
        return reference.batch_norm_in_use(x, mean, var, weight, bias, eps)
    return _native.batch_norm_in_use(_flat(x), mean, var, weight, bias, eps).reshape(x.shape)


# --- dropout ---------------------------------------------------------------------------------------------------------


def dropout(x: Array, p: float, keys: tuple[int, int]) -> Array:
    if not dense(x):
        return reference.dropout(x, p, keys)
    return _native.dropout(x, *keys, dropped_below(p), dropout_scale(p))


# --- sums ------------------------------------------------------------------------------------------------------------


def channel_sums(x: Array) -> Array:
    return _native.channel_sums(_flat(x)) if x.size >= LARGE and dense(x) else reference.channel_sums(x)


def add(x: Array, y: Array) -> Array:
    return _native.add(x, y) if dense_pair(x, y) else reference.add(x, y)
