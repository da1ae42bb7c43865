"""Pooling: from each window one number. The gradients are operations of their own, closed under differentiation.

The gradients take the settings as the user spelled them, and the shape that their result shall have.
"""

from __future__ import annotations

from typing import Any

from tensorgraph import kernels
from tensorgraph._primitive import primitive
from tensorgraph._tape import Array
from tensorgraph.kernels import shapes
from tensorgraph.ops._checks import check_images

# --- the largest -----------------------------------------------------------------------------------------------------


@primitive(gate="max", saves=("winners",))
def max_pool2d(
    x: Array,
    /,
    kernel_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """The largest number of each window. Routes: the FIRST maximum of a window, row by row, gets all of its gradient.

    NaN counts as larger than any number; the padding is never chosen.
    OH = floor((H + 2 P - D (KH - 1) - 1) / S) + 1.

    Arguments:
        x: images (N, C, H, W), floats.
        kernel_size: of the window, a number or a pair (height, width).
        stride: the step S between windows; None is the size of the window.
        padding: P on every side, at most half of the window; zero or more, a number or a pair.
        dilation: the step D between the places that a window looks at.
        ceil_mode: round OH and OW up, so that a last window may reach over the end; it must start inside.

    Returns:
        (N, C, OH, OW).

    Raises:
        ShapeError: the sizes do not fit. TypeError: x is not of floats.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([[[[1.0, 3.0, 3.0, 2.0]]]], requires_grad=True)
        >>> tg.max_pool2d(x, (1, 2)).sum().backward()
        >>> x.grad
        tensor([[[[0., 1., 1., 0.]]]])

    Source: PyTorch's torch.nn.functional.max_pool2d, which routes to the last NaN instead of the first.
    """
    check_images(x)
    window = shapes.pool_window(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    return kernels.max_pool2d(x, *window, ceil_mode)


@primitive(gate="max")
def max_pool2d_grad(
    g: Array,
    /,
    *,
    winners: Array,
    x_shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Array:
    """The gradient of max_pool2d's x, (N, C, H, W): each g (N, C, OH, OW) goes to the place that won its window."""
    window = shapes.pool_window(x_shape, kernel_size, stride, padding, dilation, ceil_mode)
    return kernels.max_pool2d_grad(g, winners, x_shape, *window)


@primitive(gate="max")
def max_pool2d_take(
    x: Array,
    /,
    *,
    winners: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Array:
    """What x (N, C, H, W) holds at the places that won the windows of another array, (N, C, OH, OW)."""
    window = shapes.pool_window(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    return kernels.max_pool2d_take(x, winners, *window)


max_pool2d.vjp(x=lambda g, out, x, **settings: max_pool2d_grad(g, x_shape=x.shape, **settings))
max_pool2d_grad.vjp(g=lambda u, out, g, x_shape, **settings: max_pool2d_take(u, **settings))
max_pool2d_take.vjp(x=lambda g, out, x, **settings: max_pool2d_grad(g, x_shape=x.shape, **settings))

# --- the average -----------------------------------------------------------------------------------------------------


@primitive(gate="add")
def avg_pool2d(
    x: Array,
    /,
    kernel_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The average of each window. Distributes: every element of a window gets the same share of its gradient.

    Arguments:
        x: images (N, C, H, W), floats.
        kernel_size: of the window, a number or a pair (height, width).
        stride: the step between windows; None is the size of the window.
        padding: zeros on every side, at most half of the window; a number or a pair.
        ceil_mode: round the output's size up, so that a last window may reach over the end; it must start inside.
        count_include_pad: divide by the number of elements with those in the padding, or without.

    Returns:
        (N, C, OH, OW), as in `max_pool2d`.

    Raises:
        ShapeError: the sizes do not fit. TypeError: x is not of floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.avg_pool2d(tg.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]), 2)
        tensor([[[[4.]]]])

    Source: PyTorch's torch.nn.functional.avg_pool2d.
    """
    check_images(x)
    kernel, steps, pads, _ = shapes.pool_window(x.shape, kernel_size, stride, padding, 1, ceil_mode)
    return kernels.avg_pool2d(x, kernel, steps, pads, ceil_mode, count_include_pad)


@primitive(gate="add")
def avg_pool2d_grad(
    g: Array,
    /,
    *,
    x_shape: tuple[int, ...],
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The gradient of avg_pool2d's x, (N, C, H, W), from the upstream gradient g (N, C, OH, OW)."""
    kernel, steps, pads, _ = shapes.pool_window(x_shape, kernel_size, stride, padding, 1, ceil_mode)
    return kernels.avg_pool2d_grad(g, x_shape, kernel, steps, pads, count_include_pad)


def pooled_activation_grad(
    g: Array,
    maps: Array,
    activation: str,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """`avg_pool2d_grad`, and on through the activation, as kernels name it, that gave the maps: of arrays."""
    kernel, steps, pads, _ = shapes.pool_window(maps.shape, kernel_size, stride, padding, 1, ceil_mode)
    return kernels.pooled_activation_grad(g, maps, activation, kernel, steps, pads, count_include_pad)


avg_pool2d.vjp(x=lambda g, out, x, **settings: avg_pool2d_grad(g, x_shape=x.shape, **settings))
avg_pool2d_grad.vjp(g=lambda u, out, g, x_shape, **settings: avg_pool2d(u, **settings))

# --- the average over a given number of bins -------------------------------------------------------------------------


@primitive(gate="add")
def adaptive_avg_pool2d(x: Array, /, output_size: Any) -> Array:
    """Cut each image into OH x OW bins and average each; 1 is the average over the image.

    Bin i of OH holds the rows floor(i H / OH) to ceil((i + 1) H / OH) - 1; neighbours share a row where OH does not
    divide H.

    Arguments:
        x: images (N, C, H, W), floats.
        output_size: the number of bins, a number or a pair (OH, OW); None keeps the size of x.

    Returns:
        (N, C, OH, OW).

    Raises:
        ShapeError: the sizes do not fit. TypeError: x is not of floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.adaptive_avg_pool2d(tg.tensor([[[[1.0, 3.0, 5.0]]]]), (1, 2))
        tensor([[[[2., 4.]]]])

    Source: PyTorch's torch.nn.functional.adaptive_avg_pool2d.
    """
    check_images(x)
    return kernels.adaptive_avg_pool2d(x, shapes.bin_sizes(x.shape, output_size))


@primitive(gate="add")
def adaptive_avg_pool2d_grad(g: Array, /, *, x_shape: tuple[int, ...]) -> Array:
    """The gradient of adaptive_avg_pool2d's x, (N, C, H, W), from the upstream gradient g (N, C, OH, OW)."""
    return kernels.adaptive_avg_pool2d_grad(g, x_shape)


adaptive_avg_pool2d.vjp(x=lambda g, out, x, output_size: adaptive_avg_pool2d_grad(g, x_shape=x.shape))
adaptive_avg_pool2d_grad.vjp(g=lambda u, out, g, x_shape: adaptive_avg_pool2d(u, output_size=g.shape[2:]))
