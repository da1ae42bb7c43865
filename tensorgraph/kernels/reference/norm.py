"""Batch normalization, dropout, sums over all but the channels, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgraph.kernels.reference.activations import activate, activate_grad
from tensorgraph.kernels.reference.windows import Array


def _others(x: Array) -> tuple[int, ...]:
    """All axes but the channels'."""
    return (0, *range(2, x.ndim))


def _per_channel(v: Array, x: Array) -> Array:
    """(C,) -> (1, C, 1, ...), to broadcast against x."""
    return v.reshape((1, -1) + (1,) * (x.ndim - 2))


# --- batch normalization ---------------------------------------------------------------------------------------------


def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float, activation: str = "none"
) -> tuple[Array, Array, Array]:
    """act((x - mean) / sqrt(var + eps) * weight + bias), channel by channel; with it mean and var, (C,), of the batch.

    x: (N, C, ...). weight, bias: (C,) or None. act: as in `activate`.
    """
    if x.size == 0:  # NumPy warns of the mean of nothing
        return x.copy(), np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    mean = np.mean(x, axis=_others(x))
    centered = x - _per_channel(mean, x)
    var = np.mean(centered * centered, axis=_others(x))
    unit = centered / np.sqrt(_per_channel(var, x) + eps)
    return activate(_affine(unit, weight, bias), activation), mean, var


def _affine(unit: Array, weight: Array | None, bias: Array | None) -> Array:
    out = unit if weight is None else unit * _per_channel(weight, unit)
    return out if bias is None else out + _per_channel(bias, unit)


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
    """The gradients of x, weight and bias. x moves its batch's mean and variance, too: their shares are taken off g."""
    spread = np.sqrt(_per_channel(var, x) + eps)
    unit = (x - _per_channel(mean, x)) / spread
    if activation != "none":
        g = activate_grad(g, activate(_affine(unit, weight, bias), activation), activation)
    weight_grad, bias_grad = np.sum(g * unit, axis=_others(x)), np.sum(g, axis=_others(x))
    count = x.size // x.shape[1]
    x_grad = (g - (_per_channel(bias_grad, x) + unit * _per_channel(weight_grad, x)) / count) / spread
    return (x_grad if weight is None else x_grad * _per_channel(weight, x)), weight_grad, bias_grad


def batch_norm_in_use(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
    """(x - mean) / sqrt(var + eps) * weight + bias, channel by channel, for a mean and variance (C,) that are given."""
    unit = (x - _per_channel(mean, x)) / np.sqrt(_per_channel(var, x) + eps)
    return _affine(unit, weight, bias)


# --- dropout ---------------------------------------------------------------------------------------------------------


def dropout(x: Array, p: float, keys: tuple[int, int]) -> Array:
    """x times 0 with probability p and times 1 / (1 - p) otherwise. The keys, below 2^32, decide where.

    An element is kept if the random bits of its position in C order, as a whole number below 2^32, are not less than
    p * 2^32. The same keys keep the same elements, so this is its own gradient.
    """
    position = np.arange(x.size, dtype=np.uint64).reshape(x.shape)
    kept = _random_bits(position, *(np.uint64(key) for key in keys)) >= dropped_below(p)
    return x * (kept * dropout_scale(p)).astype(x.dtype)


def dropped_below(p: float) -> int:
    return min(round(p * 2**32), 2**32 - 1)


def dropout_scale(p: float) -> float:
    return 1 / (1 - p) if p < 1 else 0.0


def _random_bits(position: Any, key: Any, second_key: Any) -> Any:
    """32 bits that look random, as a function of the position and two keys."""
    low = (position + key).astype(np.uint32)  # modulo 2^32
    high = (position >> np.uint64(32)) * np.uint64(0x9E3779B9)
    return _mixed(_mixed(low) ^ (second_key + high).astype(np.uint32))


def _mixed(h: Any) -> Any:
    """A bijection of 32 bits in which every bit of the result depends on all: the finalizer of MurmurHash3."""
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


# --- sums ------------------------------------------------------------------------------------------------------------


def channel_sums(x: Array) -> Array:
    """The sum over all axes but the channels': (N, C, ...) -> (C,)."""
    return x.sum(axis=_others(x))


def add(x: Array, y: Array) -> Array:
    """x + y; worth the call from `_choice.LARGE` elements on."""
    return np.add(x, y)
