"""Normalization within each example: layer norm, group norm, local response norm. They are made of other operations.

A group of numbers that share a mean is to these what a channel of a batch is to batch norm: x is given to
`standardize` as one example with a channel for each group.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorgraph._context import located
from tensorgraph.errors import ShapeError
from tensorgraph.ops._checks import check_floats
from tensorgraph.ops.norm import standardize
from tensorgraph.ops.pool import avg_pool2d
from tensorgraph.ops.shape import reshape


def _checked_shape(op: str, x: Any) -> tuple[int, ...]:
    """The shape of x, which must hold floats."""
    try:
        check_floats("x", x)
    except TypeError as error:
        raise located(TypeError, op, error) from None
    return np.shape(x)


def _check_scales(op: str, expected: tuple[int, ...], x_shape: tuple[int, ...], weight: Any, bias: Any) -> None:
    for name, v in (("weight", weight), ("bias", bias)):
        if v is not None and np.shape(v) != expected:
            text = f"{name} must have shape {expected} for x of shape {x_shape}, got {np.shape(v)}"
            raise located(ShapeError, op, text)


def _standardized(x: Any, groups: int, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps), where as many groups follow each other in x."""
    if x.size == 0:
        return x
    rows = standardize(reshape(x, (1, groups, x.size // groups)), eps=eps)
    return reshape(rows, np.shape(x))


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, with the mean and variance over the last axes of x.

    Arguments:
        x: (..., *normalized_shape), floats. normalized_shape: the sizes of those axes; a number for the last alone.
        weight, bias: of that shape, or None. eps: keeps the root away from 0.

    Returns:
        The shape of x.

    Raises:
        ShapeError: the shapes do not fit. TypeError: x does not hold floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.layer_norm(tg.tensor([[1.0, 3.0], [30.0, 10.0]]), 2, eps=0.0)
        tensor([[-1.,  1.],
                [ 1., -1.]])

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016; PyTorch's torch.nn.functional.layer_norm.
    """
    shape = _checked_shape("layer_norm", x)
    last = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not last or shape[-len(last) :] != last:
        raise located(ShapeError, "layer_norm", f"the last axes of x must have shape {last}, got x of shape {shape}")
    _check_scales("layer_norm", last, shape, weight, bias)
    return _scaled(_standardized(x, math.prod(shape[: -len(last)]), eps), weight, bias)


def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias, with the mean and variance of a group of channels of an example.

    Arguments:
        x: (N, C) or (N, C, ...), floats. num_groups: divides C; neighbouring channels are a group.
        weight, bias: (C,), or None. eps: keeps the root away from 0.

    Returns:
        The shape of x.

    Raises:
        ShapeError: the shapes do not fit. TypeError: x does not hold floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.group_norm(tg.tensor([[1.0, 3.0, 30.0, 10.0]]), 2, eps=0.0)
        tensor([[-1.,  1.,  1., -1.]])

    Source: Wu, He, "Group normalization", 2018; PyTorch's torch.nn.functional.group_norm.
    """
    shape = _checked_shape("group_norm", x)
    if len(shape) < 2:
        raise located(ShapeError, "group_norm", f"x must have at least 2 axes (N, C), got shape {shape}")
    if num_groups < 1 or shape[1] % num_groups:
        text = f"num_groups = {num_groups} does not divide the {shape[1]} channels of x of shape {shape}"
        raise located(ShapeError, "group_norm", text)
    _check_scales("group_norm", (shape[1],), shape, weight, bias)
    column = (shape[1],) + (1,) * (len(shape) - 2)  # to broadcast against x
    scales = [None if v is None else reshape(v, column) for v in (weight, bias)]
    return _scaled(_standardized(x, shape[0] * num_groups, eps), *scales)


def local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """x / (k + alpha s)^beta, where s is the mean of the squares of `size` neighbouring channels at the same place.

    The window of channel c starts at c - size // 2; channels outside count as 0, and the mean is always over `size`.

    Arguments:
        x: (N, C) or (N, C, ...), floats. size: at least 1. alpha, beta, k: numbers.

    Returns:
        The shape of x.

    Raises:
        ShapeError: x has no channels, or size is not positive. TypeError: x does not hold floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.local_response_norm(tg.tensor([[3.0, 0.0]]), 1, alpha=1.0, beta=0.5, k=16.0)
        tensor([[0.6, 0. ]])

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012, with
    the sum for the mean; PyTorch's torch.nn.functional.local_response_norm.
    """
    shape = _checked_shape("local_response_norm", x)
    if len(shape) < 2:
        raise located(ShapeError, "local_response_norm", f"x must have at least 2 axes (N, C), got shape {shape}")
    if size < 1:
        raise located(ShapeError, "local_response_norm", f"size must be positive, got {size}")
    if x.size == 0:
        return x
    columns = (shape[0], 1, shape[1], math.prod(shape[2:]))  # images of C rows, which a tall window slides over
    means = avg_pool2d(reshape(x * x, columns), (size, 1), stride=1, padding=(size // 2, 0))
    means = reshape(means[:, :, : shape[1]], shape)  # an even window fits in once more
    return x / (means * alpha + k) ** beta
