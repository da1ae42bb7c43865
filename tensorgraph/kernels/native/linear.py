"""The linear layer, and the products and sums of which its gradients are made, compiled for float32 matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorgraph.kernels import reference
from tensorgraph.kernels._choice import extension
from tensorgraph.kernels.reference.windows import Array

_native: Any = extension
_FLOAT32 = np.dtype(np.float32)
_ACTIVATIONS = {"none": 0, "relu": 1}


def linear(x: Array, w: Array, b: Array | None, activation: str = "none") -> Array:
    if x.dtype != _FLOAT32:
        return reference.linear(x, w, b, activation)
    if x.ndim == 2:
        return _native.linear(x, w, b, _ACTIVATIONS[activation])
    rows = x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))
    return _native.linear(rows, w, b, _ACTIVATIONS[activation]).reshape((*x.shape[:-1], len(w)))


def matmul(x: Array, y: Array) -> Array:
    if x.ndim == 2 == y.ndim and x.dtype == _FLOAT32 == y.dtype:
        if y.flags.c_contiguous:
            return _native.matmul_tn(x.T, y) if x.flags.f_contiguous else _native.matmul(x, y)
        if y.flags.f_contiguous and x.flags.c_contiguous:
            return _native.linear(x, y.T, None, 0)
    return reference.matmul(x, y)


def column_sums(x: Array) -> Array:
    return _native.column_sums(x) if x.dtype == _FLOAT32 else reference.column_sums(x)
