"""Convolution layers."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import count, for_the_caller, sizes
from nn.linear import weight_and_bias
from nn.module import Module

_PADDINGS = ("valid", "same", "full")


class _Conv(Module):
    """The settings of all convolutions, checked. Subclasses say the number of spatial axes and the weight's shape."""

    axes: int

    @for_the_caller
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_channels = count(self, "in_channels", in_channels)
        self.out_channels = count(self, "out_channels", out_channels)
        self.kernel_size = sizes(self, "kernel_size", kernel_size, self.axes)
        self.stride = sizes(self, "stride", stride, self.axes)
        self.padding = self._checked_padding(padding)
        self.dilation = sizes(self, "dilation", dilation, self.axes)
        self.groups = count(self, "groups", groups)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise tg.ShapeError(f"{type(self).__name__}: groups = {groups} does not divide {name} = {channels}")
        self.weight, self.bias = weight_and_bias(self._weight_shape(), self.out_channels, bias, rng)

    def _checked_padding(self, padding: Any) -> Any:
        if isinstance(padding, str) and padding in _PADDINGS:
            return padding
        if isinstance(padding, str):
            raise tg.ShapeError(
                f'{type(self).__name__}: padding must be numbers, "valid", "same" or "full", got {padding!r}'
            )
        return sizes(self, "padding", padding, self.axes, least=0)

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    @property
    def _settings(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def extra_repr(self) -> str:
        words = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0,) * self.axes:
            words.append(f"padding={self.padding!r}")
        if self.dilation != (1,) * self.axes:
            words.append(f"dilation={self.dilation}")
        if self.groups != 1:
            words.append(f"groups={self.groups}")
        if self.bias is None:
            words.append("bias=False")
        return ", ".join(words)


class Conv2d(_Conv):
    """Slide filters over images: every output is the sum of a window of x times a filter, plus a bias.

    OH = floor((H + 2 P - D (KH - 1) - 1) / S) + 1.

    Arguments:
        in_channels, out_channels: C and F. kernel_size, stride, dilation: numbers or pairs (height, width).
        padding: a number, a pair, "valid", "same" or "full". groups: divides C and F.
        bias: whether there is one. rng: draws the initial values.

    Parameters: weight (F, C/groups, KH, KW), bias (F,), uniform in +-1 / sqrt(C/groups KH KW).
    Input and output: x (N, C, H, W) -> (N, F, OH, OW).

    Raises:
        ShapeError, TypeError: a setting is impossible; x does not fit.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Conv2d(3, 6, 5, padding=2)(tg.zeros(1, 3, 32, 32)).shape
        (1, 6, 32, 32)

    Source: PyTorch's torch.nn.Conv2d; formulas at `tg.conv2d`.
    """

    axes = 2

    def forward(self, x: Any) -> Any:
        return tg.conv2d(x, self.weight, self.bias, **self._settings)


class Conv1d(_Conv):
    """Slide filters along signals: `Conv2d` with one spatial axis.

    Arguments, errors: as `Conv2d`, with numbers for pairs.

    Parameters: weight (F, C/groups, K), bias (F,), uniform in +-1 / sqrt(C/groups K).
    Input and output: x (N, C, L) -> (N, F, OL).

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.Conv1d(2, 4, 3, stride=2)(tg.zeros(1, 2, 9)).shape
        (1, 4, 4)

    Source: PyTorch's torch.nn.Conv1d.
    """

    axes = 1

    def forward(self, x: Any) -> Any:
        return tg.conv1d(x, self.weight, self.bias, **self._settings)


class ConvTranspose2d(_Conv):
    """The transposed convolution: every input puts a filter, times its value, into the output; overlaps add up.

    OH = S (H - 1) + D (KH - 1) + 1 - 2 P + output_padding.

    Arguments:
        as `Conv2d`; padding, numbers only, is cut off the output. output_padding: rows and columns more at the bottom
            and at the right, less than the stride.

    Parameters: weight (C, F/groups, KH, KW), bias (F,), uniform in +-1 / sqrt(F/groups KH KW).
    Input and output: x (N, C, H, W) -> (N, F, OH, OW).

    Raises:
        ShapeError, TypeError: a setting is impossible; x does not fit.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.ConvTranspose2d(6, 3, 2, stride=2)(tg.zeros(1, 6, 8, 8)).shape
        (1, 3, 16, 16)

    Source: PyTorch's torch.nn.ConvTranspose2d, whose order of arguments and initial values (with F where others have C)
    these are.
    """

    axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, rng=rng)
        self.output_padding = sizes(self, "output_padding", output_padding, self.axes, least=0)

    def _checked_padding(self, padding: Any) -> Any:
        return sizes(self, "padding", padding, self.axes, least=0)

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)

    def forward(self, x: Any) -> Any:
        return tg.conv2d_transpose(x, self.weight, self.bias, output_padding=self.output_padding, **self._settings)

    def extra_repr(self) -> str:
        extra = f", output_padding={self.output_padding}" if any(self.output_padding) else ""
        return super().extra_repr() + extra
