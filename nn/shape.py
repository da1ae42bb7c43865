"""Layers without arithmetic."""

from __future__ import annotations

from typing import Any

import tensorgraph as tg
from nn.module import Module


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
        return tg.flatten(x, self.start_dim, self.end_dim)

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
