"""Batch normalization layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import count, number
from nn.module import Module, Parameter, layer_error


class _BatchNorm(Module):
    """What the batch norms have in common; subclasses say which numbers of axes x may have, and how that is written."""

    ndims: tuple[int, ...]
    letters: str
    running_mean: tg.Tensor | None
    running_var: tg.Tensor | None
    num_batches_tracked: tg.Tensor | None

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
        shape = np.shape(x)
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
