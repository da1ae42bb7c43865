"""Hypothesis strategies: tensors, settings of convolutions and poolings, whole programs. Needs the package hypothesis.

Values come from a seed that hypothesis draws: they are all different, and so away from ties. What shrinks is what
matters: shapes, settings, and the number of operations.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tensorgraph.tensor import Tensor
from tensorgraph.testing.programs import Program, programs

__all__ = [
    "Conv2dCase",
    "Pool2dCase",
    "Program",
    "broadcastable",
    "conv2d_cases",
    "pool2d_cases",
    "programs",
    "tensors",
]

settings.register_profile("tensorgraph", deadline=None)  # a busy machine is not a failure; loaded by who wants it

LAYOUTS = ("C", "Fortran", "backwards", "every other", "channels last")


def tensors(
    shape: Any = None,
    *,
    dtype: Any = np.float64,
    low: float = -2.0,
    high: float = 2.0,
    away_from: float | None = None,
    layouts: bool = True,
    requires_grad: bool = True,
) -> st.SearchStrategy[Tensor]:
    """Tensors with values that are all different.

    Arguments:
        shape: a tuple, or a strategy for one; 0 to 4 axes of 1 to 4 elements if None.
        low, high: between which bounds the values lie. away_from: a kink, from which they stay a hundredth of that
            range away.
        layouts: draw memory layouts too: Fortran order, backwards, every other element, channels last.

    Example:
        >>> from hypothesis import given
        >>> import tensorgraph as tg
        >>> @given(tg.testing.strategies.tensors(away_from=0.0))
        ... def test(x):
        ...     tg.testing.check_grads(tg.relu, x)
        >>> test()
    """

    @st.composite
    def draw_tensor(draw: Any) -> Tensor:
        of = (
            shape
            if isinstance(shape, (tuple, st.SearchStrategy))
            else hnp.array_shapes(min_dims=0, max_dims=4, max_side=4)
        )
        sizes = draw(of) if isinstance(of, st.SearchStrategy) else of
        values = _values(sizes, draw(st.integers(0, 2**16)), low, high, away_from).astype(dtype)
        layout = draw(st.sampled_from(LAYOUTS)) if layouts else "C"
        return _tensor(_laid_out(values, layout), requires_grad)

    return draw_tensor()


def broadcastable(
    number: int = 2, *, max_dims: int = 3, max_side: int = 3, **options: Any
) -> st.SearchStrategy[tuple[Tensor, ...]]:
    """Tuples of tensors whose shapes broadcast with each other; options as for `tensors`."""

    @st.composite
    def draw_tensors(draw: Any) -> tuple[Tensor, ...]:
        drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=number, max_dims=max_dims, max_side=max_side))
        return tuple(draw(tensors(sizes, **options)) for sizes in drawn.input_shapes)

    return draw_tensors()


class Conv2dCase(NamedTuple):
    """Arguments that fit each other: `tg.conv2d(case.x, case.w, case.b, **case.options)`."""

    x: Tensor
    w: Tensor
    b: Tensor | None
    options: dict[str, Any]


@st.composite
def conv2d_cases(draw: Any, *, max_size: int = 7, dtype: Any = np.float64) -> Conv2dCase:
    """Images, filters and settings of a convolution: strides, paddings, dilations, groups, with and without bias."""
    groups = draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, stride, padding, dilation, size = _window(draw, max_size, paddings=(0, 2))
    x = draw(tensors((draw(st.integers(1, 2)), channels, *size), dtype=dtype))
    w = draw(tensors((filters, channels // groups, *kernel), dtype=dtype))
    b = draw(st.none() | tensors((filters,), dtype=dtype))
    return Conv2dCase(x, w, b, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups})


class Pool2dCase(NamedTuple):
    """Arguments that fit each other: `tg.max_pool2d(case.x, **case.options)`."""

    x: Tensor
    options: dict[str, Any]


@st.composite
def pool2d_cases(draw: Any, *, max_size: int = 7, dtype: Any = np.float64) -> Pool2dCase:
    """Images and settings of a max pooling; without `dilation` and `ceil_mode` they are those of an average pooling."""
    kernel, stride, _, dilation, size = _window(draw, max_size, paddings=(0, 0))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)  # at most half a window, as in PyTorch
    x = draw(tensors((draw(st.integers(1, 2)), draw(st.integers(1, 3)), *size), dtype=dtype))
    options = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return Pool2dCase(x, {**options, "ceil_mode": draw(st.booleans())})


def _window(draw: Any, max_size: int, paddings: tuple[int, int]) -> tuple[Any, ...]:
    """(kernel, stride, padding, dilation, image size), so that at least one window fits."""

    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    kernel, stride, padding, dilation = pair(1, 3), pair(1, 3), pair(*paddings), pair(1, 2)
    least = [d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = tuple(draw(st.integers(max(n, 1), max(n, max_size))) for n in least)
    return kernel, stride, padding, dilation, size


def _values(shape: tuple[int, ...], seed: int, low: float, high: float, away_from: float | None) -> Any:
    """Values all different, in random order: one from each of as many equal parts of the range."""
    n = math.prod(shape)
    rng = np.random.default_rng(seed)
    parts = (rng.permutation(n) + rng.uniform(0.25, 0.75, n)) / max(n, 1)
    values = low + (high - low) * parts
    if away_from is not None:
        margin = (high - low) / 100
        near = np.abs(values - away_from) < margin
        values = np.where(near, away_from + np.where(values < away_from, -margin, margin) * (1 + parts), values)
    return values.reshape(shape)


def _laid_out(values: Any, layout: str) -> Any:
    """The same values in another memory layout."""
    if layout == "Fortran":
        return np.asfortranarray(values)
    if layout == "backwards":
        backwards = (slice(None, None, -1),) * values.ndim
        return values[backwards].copy()[backwards]
    if layout == "every other" and values.ndim:
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        wide[..., ::2] = values
        return wide[..., ::2]
    if layout == "channels last" and values.ndim == 4:
        return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return values


def _tensor(array: Any, requires_grad: bool) -> Tensor:
    tensor = Tensor._wrap(array)
    tensor.requires_grad = requires_grad
    return tensor
