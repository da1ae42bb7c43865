"""Pooling layers: from each window of an image one number."""

from __future__ import annotations

from typing import Any

import tensorgraph as tg
from nn._checks import sizes
from nn.module import Module


class MaxPool2d(Module):
    """The largest number of each window; its gradient goes to the first maximum.

    OH = floor((H + 2 P - D (KH - 1) - 1) / S) + 1.

    Arguments:
        kernel_size, stride, padding, dilation: numbers or pairs (height, width); a stride of None is the kernel size.
        ceil_mode: round OH and OW up.

    Input and output: x (N, C, H, W) -> (N, C, OH, OW).

    Raises:
        ShapeError, TypeError: a setting is impossible; x does not fit.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.MaxPool2d(2)(tg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
        tensor([[[[4.]]]])

    Source: PyTorch's torch.nn.MaxPool2d.
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *, ceil_mode: bool = False
    ) -> None:
        self.kernel_size = sizes(self, "kernel_size", kernel_size, 2)
        self.stride = self.kernel_size if stride is None else sizes(self, "stride", stride, 2)
        self.padding = sizes(self, "padding", padding, 2, least=0)
        self.dilation = sizes(self, "dilation", dilation, 2)
        self.ceil_mode = ceil_mode

    def forward(self, x: Any) -> Any:
        return tg.max_pool2d(x, **self._settings)

    @property
    def _settings(self) -> dict[str, Any]:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The average of each window.

    Arguments:
        kernel_size, stride, padding, ceil_mode: as in `MaxPool2d`. count_include_pad: divide by the number of elements
            with those in the padding, or without.

    Input and output: x (N, C, H, W) -> (N, C, OH, OW).

    Raises:
        ShapeError, TypeError: a setting is impossible; x does not fit.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.AvgPool2d(2)(tg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
        tensor([[[[2.5]]]])

    Source: PyTorch's torch.nn.AvgPool2d.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = sizes(self, "kernel_size", kernel_size, 2)
        self.stride = self.kernel_size if stride is None else sizes(self, "stride", stride, 2)
        self.padding = sizes(self, "padding", padding, 2, least=0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, x: Any) -> Any:
        return tg.avg_pool2d(x, **self._settings)

    @property
    def _settings(self) -> dict[str, Any]:
        names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self) -> str:
        words = [f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"]
        if self.ceil_mode:
            words.append("ceil_mode=True")
        if not self.count_include_pad:
            words.append("count_include_pad=False")
        return ", ".join(words)


class AdaptiveAvgPool2d(Module):
    """Cut each image into OH x OW bins and average each; 1 is the average over the image.

    Arguments:
        output_size: a number or a pair (OH, OW); None keeps the size of x.

    Input and output: x (N, C, H, W) -> (N, C, OH, OW).

    Raises:
        ShapeError, TypeError: a size is not a positive integer; x does not fit.

    Example:
        >>> import nn, tensorgraph as tg
        >>> nn.AdaptiveAvgPool2d(1)(tg.ones(2, 3, 7, 5)).shape
        (2, 3, 1, 1)

    Source: PyTorch's torch.nn.AdaptiveAvgPool2d.
    """

    def __init__(self, output_size: Any) -> None:
        bins = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
        sizes(self, "output_size", tuple(1 if size is None else size for size in bins), 2)
        self.output_size = bins

    def forward(self, x: Any) -> Any:
        return tg.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
