"""Normalization layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import count, for_the_caller, number, sizes
from nn.module import Module, Parameter, layer_error

# --- over the batch --------------------------------------------------------------------------------------------------


class _BatchNorm(Module):
    """What the batch norms have in common; subclasses say which numbers of axes x may have, and how that is written."""

    ndims: tuple[int, ...]
    letters: str
    running_mean: tg.Tensor | None
    running_var: tg.Tensor | None
    num_batches_tracked: tg.Tensor | None

    @for_the_caller
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        self.num_features = count(self, "num_features", num_features)
        self.eps = number(self, "eps", eps, 0.0)
        self.momentum = None if momentum is None else number(self, "momentum", momentum, 0.0, 1.0)
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = Parameter(tg.ones(self.num_features)) if affine else None
        self.bias = Parameter(tg.zeros(self.num_features)) if affine else None
        self.register_buffer("running_mean", tg.zeros(self.num_features) if track_running_stats else None)
        self.register_buffer("running_var", tg.ones(self.num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", tg.tensor(0) if track_running_stats else None)

    def forward(self, x: Any) -> Any:
        return self._through(tg.batch_norm, x)

    def _through(self, batch_norm: Callable[..., Any], x: Any) -> Any:
        """What an operation like `batch_norm` makes of x, given the parameters and buffers."""
        shape = x.shape if isinstance(x, tg.Tensor) else np.shape(x)
        if len(shape) not in self.ndims or shape[1] != self.num_features:
            expected = f"{self.letters} with C = {self.num_features}"
            raise layer_error(tg.ShapeError, f"expected x of shape {expected}, got {shape}")
        tracked = self.num_batches_tracked
        if tracked is None:  # the batch's own mean and variance, always
            return batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        momentum = 1 / (tracked.item() + 1) if self.momentum is None else self.momentum
        means = (self.running_mean, self.running_var)
        out = batch_norm(x, *means, self.weight, self.bias, self.training, momentum, self.eps)
        if self.training:
            tracked += 1
        return out

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, feature by feature.

    In training the mean and variance are the batch's, and the running ones move towards them; in use (`eval()`) they
    are the running ones.

    Arguments:
        num_features: C. eps: keeps the root away from 0. momentum: the share of the batch in the running mean and
            variance; None averages over all batches alike. affine: whether there are weight and bias.
        track_running_stats: False keeps no running ones and uses the batch's always.

    Parameters: weight (C,), ones; bias (C,), zeros. Buffers: running_mean, running_var (C,), num_batches_tracked.
    Input and output: x (N, C) or (N, C, L) -> the same.

    Raises:
        ShapeError, TypeError, ValueError: a setting is impossible; x does not fit, or has one value a feature
            in training.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.BatchNorm1d(1, eps=0)(tg.tensor([[1.0], [3.0]])).detach()
        tensor([[-1.],
                [ 1.]])

    Source: Ioffe, Szegedy, "Batch normalization", 2015; PyTorch's torch.nn.BatchNorm1d.
    """

    ndims = (2, 3)
    letters = "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images: (x - mean) / sqrt(var + eps) * weight + bias, channel by channel.

    Arguments, parameters, buffers, errors: as `BatchNorm1d`.

    Input and output: x (N, C, H, W) -> the same.

    Example:
        >>> import nn, tensorgraph as tg
        >>> norm = nn.BatchNorm2d(3)
        >>> norm(tg.ones(2, 3, 4, 4)).shape, norm.num_batches_tracked
        ((2, 3, 4, 4), tensor(1))

    Source: PyTorch's torch.nn.BatchNorm2d.
    """

    ndims = (4,)
    letters = "(N, C, H, W)"


# --- within each example ---------------------------------------------------------------------------------------------


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, with the mean and variance over the last axes of each example.

    Arguments:
        normalized_shape: the sizes of those axes; a number for the last alone. eps: keeps the root away from 0.
        elementwise_affine: whether there are weight and bias. bias: False leaves the bias out.

    Parameters: weight (*normalized_shape), ones; bias (*normalized_shape), zeros.
    Input and output: x (..., *normalized_shape) -> the same.

    Raises:
        ShapeError, TypeError, ValueError: a setting is impossible; x does not fit.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.LayerNorm(2, eps=0)(tg.tensor([[1.0, 3.0], [30.0, 10.0]])).detach()
        tensor([[-1.,  1.],
                [ 1., -1.]])

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016; PyTorch's torch.nn.LayerNorm.
    """

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ) -> None:
        axes = len(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else 1
        if axes == 0:
            raise tg.ShapeError(f"LayerNorm: normalized_shape must have at least one axis, got {normalized_shape!r}")
        self.normalized_shape = sizes(self, "normalized_shape", normalized_shape, axes)
        self.eps = number(self, "eps", eps, 0.0)
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(tg.ones(*self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(tg.zeros(*self.normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Any:
        return tg.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, with the mean and variance of a group of channels of an example.

    Arguments:
        num_groups: divides C; neighbouring channels are a group. num_channels: C. eps: keeps the root away from 0.
        affine: whether there are weight and bias.

    Parameters: weight (C,), ones; bias (C,), zeros.
    Input and output: x (N, C) or (N, C, ...) -> the same.

    Raises:
        ShapeError, TypeError, ValueError: a setting is impossible; x does not fit.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.GroupNorm(2, 4, eps=0)(tg.tensor([[1.0, 3.0, 30.0, 10.0]])).detach()
        tensor([[-1.,  1.,  1., -1.]])

    Source: Wu, He, "Group normalization", 2018; PyTorch's torch.nn.GroupNorm.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        self.num_groups = count(self, "num_groups", num_groups)
        self.num_channels = count(self, "num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise tg.ShapeError(f"GroupNorm: num_groups = {num_groups} does not divide num_channels = {num_channels}")
        self.eps = number(self, "eps", eps, 0.0)
        self.affine = affine
        self.weight = Parameter(tg.ones(self.num_channels)) if affine else None
        self.bias = Parameter(tg.zeros(self.num_channels)) if affine else None

    def forward(self, x: Any) -> Any:
        shape = np.shape(x)
        if len(shape) < 2 or shape[1] != self.num_channels:
            expected = f"(N, C, ...) with C = {self.num_channels}"
            raise layer_error(tg.ShapeError, f"expected x of shape {expected}, got {shape}")
        return tg.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LocalResponseNorm(Module):
    """x / (k + alpha s)^beta, where s is the mean of the squares of `size` neighbouring channels at the same place.

    AlexNet's paper has the sum for the mean: its 10^-4 for 5 channels is an alpha of 5 10^-4 here.

    Arguments:
        size: how many channels, at least 1. alpha, beta, k: numbers of at least 0.

    Input and output: x (N, C) or (N, C, ...) -> the same.

    Raises:
        ShapeError, TypeError, ValueError: a setting is impossible; x does not fit.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.LocalResponseNorm(1, alpha=1.0, beta=0.5, k=16.0)(tg.tensor([[3.0, 0.0]]))
        tensor([[0.6, 0. ]])

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012;
    PyTorch's torch.nn.LocalResponseNorm.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = count(self, "size", size)
        self.alpha = number(self, "alpha", alpha, 0.0)
        self.beta = number(self, "beta", beta, 0.0)
        self.k = number(self, "k", k, 0.0)

    def forward(self, x: Any) -> Any:
        return tg.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
