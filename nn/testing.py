"""A hypothesis strategy for small networks, beside those of `tg.testing.strategies`. Needs the package hypothesis.

It is not loaded with `nn`: `from nn.testing import models`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import tensorgraph as tg
from nn.activation import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from nn.containers import Sequential
from nn.conv import Conv2d
from nn.linear import Linear
from nn.module import Module
from nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from nn.pooling import AvgPool2d, MaxPool2d
from nn.shape import Flatten

__all__ = ["ModelCase", "models"]

ACTIVATIONS = (Tanh, Sigmoid, Softplus, GELU, ELU, LeakyReLU, ReLU)  # the smooth ones first: hypothesis shrinks to them


class ModelCase(NamedTuple):
    """A network and a batch that fits it: `case.model(case.x)`."""

    model: Module
    x: tg.Tensor


@st.composite
def models(draw: Any, *, max_layers: int = 6) -> ModelCase:
    """Networks for images or for vectors: convolutions, poolings, norms, activations, then a linear layer.

    The weights come from a seed that hypothesis draws. What shrinks is the number of layers and their sizes, down to
    one linear layer.

    Arguments:
        max_layers: before the last linear layer.

    Returns:
        A strategy for networks, each with a batch of 2 or 3 examples, all float32.

    Example:
        >>> from hypothesis import given, settings
        >>> import tensorgraph as tg
        >>> from nn.testing import models
        >>> @settings(max_examples=5, deadline=None)
        ... @given(models(max_layers=3))
        ... def test(case):
        ...     assert case.model(case.x).shape[0] == case.x.shape[0]
        >>> test()
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = draw(st.tuples(st.integers(1, 4)) | st.tuples(st.integers(1, 3), st.integers(2, 6), st.integers(2, 6)))
    batch = draw(tg.testing.strategies.tensors((draw(st.integers(2, 3)), *shape), dtype=np.float32))
    layers: list[Module] = []
    for _ in range(draw(st.integers(0, max_layers))):
        layer, shape = _layer(draw, shape, rng)
        layers.append(layer)
    if len(shape) > 1:
        layers.append(Flatten())
    layers.append(Linear(math.prod(shape), draw(st.integers(1, 3)), rng=rng))
    return ModelCase(Sequential(*layers), batch)


def _layer(draw: Any, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Module, tuple[int, ...]]:
    """A layer for examples of this shape, and the shape of what it returns."""
    kind = draw(st.sampled_from(("activation", "weights", "norm", "pooling")))
    if kind == "weights":
        size = draw(st.integers(1, 4))
        if len(shape) == 1:
            return Linear(shape[0], size, rng=rng), (size,)
        kernel = draw(st.integers(1, min(3, *shape[1:])))
        padding = draw(st.integers(0, kernel // 2))
        height, width = (n + 2 * padding - kernel + 1 for n in shape[1:])
        return Conv2d(shape[0], size, kernel, padding=padding, rng=rng), (size, height, width)
    if kind == "norm":
        if len(shape) == 1:
            return draw(st.sampled_from((BatchNorm1d, LayerNorm)))(shape[0]), shape
        return draw(st.sampled_from((BatchNorm2d(shape[0]), GroupNorm(1, shape[0])))), shape
    if kind == "pooling" and len(shape) == 3 and min(shape[1:]) > 1:
        return draw(st.sampled_from((AvgPool2d, MaxPool2d)))(2), (shape[0], shape[1] // 2, shape[2] // 2)
    return draw(st.sampled_from(ACTIVATIONS))(), shape
