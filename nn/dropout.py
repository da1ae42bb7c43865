"""Dropout: noise in training, nothing in use."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import for_the_caller, number
from nn.module import Module


class Dropout(Module):
    """In training, each element becomes 0 with probability p and the others are divided by 1 - p; in use, x itself.

    Arguments:
        p: the probability, 0 <= p <= 1. rng: where the randomness comes from; the library's own if None.

    Input and output: x of any shape -> the same.

    Raises:
        TypeError, ValueError: p is no such number.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Dropout(0.5).eval()(tg.ones(3))
        tensor([1., 1., 1.])

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    """

    @for_the_caller
    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | None = None) -> None:
        self.p = number(self, "p", p, 0.0, 1.0)
        self.rng = rng

    def forward(self, x: Any) -> Any:
        return tg.dropout(x, self.p, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout2d(Dropout):
    """In training, each channel of each example becomes 0 with probability p and the others are divided by 1 - p.

    Arguments, errors: as `Dropout`.

    Input and output: x (N, C, H, W), or with other axes after C -> the same.

    Example:
        >>> import nn, tensorgraph as tg
        >>> maps = nn.Dropout2d(0.5)(tg.ones(8, 16, 4, 4)).numpy()
        >>> bool((maps.min(axis=(2, 3)) == maps.max(axis=(2, 3))).all())
        True

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015; PyTorch's
    torch.nn.Dropout2d.
    """

    def forward(self, x: Any) -> Any:
        return tg.dropout2d(x, self.p, self.training, rng=self.rng)
