"""Layers without arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.module import Module, layer_error


class Flatten(Module):
    """Make one axis of several: images (N, C, H, W) become rows (N, C*H*W).

    Arguments:
        start_dim, end_dim: the first and the last axis to join; negative ones count from the end.

    Raises:
        ShapeError: x has no such axes.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Flatten()(tg.zeros(32, 16, 4, 4)).shape
        (32, 256)

    Source: PyTorch's torch.nn.Flatten.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Any) -> Any:
        shape = x.shape if isinstance(x, tg.Tensor) else np.shape(x)
        ndim = len(shape)
        first, last = self.start_dim, self.end_dim
        first += ndim if first < 0 else 0
        last += ndim if last < 0 else 0
        if not 0 <= first <= last < ndim:
            raise layer_error(tg.ShapeError, f"x of shape {shape} has no axes {self.start_dim} to {self.end_dim}")
        joined = math.prod(shape[first : last + 1])
        return tg.reshape(x, shape=(*shape[:first], joined, *shape[last + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """x itself: a placeholder for a layer that may be left out.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Identity()(tg.tensor([1.0]))
        tensor([1.])
    """

    def forward(self, x: Any) -> Any:
        return x
