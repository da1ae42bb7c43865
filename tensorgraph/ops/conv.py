"""Convolution. Its input gradient and its weight gradient are operations of their own, closed under differentiation:
each one's rules are the other two, so a derivative of any order is made of these three.

The gradients take the settings as the user spelled them, and the shape that their result shall have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tensorgraph import kernels
from tensorgraph._context import located
from tensorgraph._primitive import primitive
from tensorgraph._tape import Array
from tensorgraph.errors import ShapeError
from tensorgraph.kernels import shapes
from tensorgraph.ops._checks import REFUSALS, check_bias, check_filters, check_images
from tensorgraph.ops.shape import expand_dims, pad, squeeze

# --- convolution and its gradients -----------------------------------------------------------------------------------


@primitive(gate="mul")
def conv2d(
    x: Array, w: Array, b: Array | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Array:
    """Slide filters over images: every output is the sum of a window of x times a filter, plus a bias.

    out[n, f, y, x] = b[f] + sum over c, i, j of w[f, c, i, j] x[n, c, y S + i D - P, x S + j D - P]; as in all of deep
    learning the filter is not flipped. OH = floor((H + 2 P - D (KH - 1) - 1) / S) + 1.

    Arguments:
        x: images (N, C, H, W), floats. w: filters (F, C/groups, KH, KW), of x's type. b: (F,) or None.
        stride: the step S between windows, a number or a pair (height, width).
        padding: zeros P on every side, a number or a pair; "valid": none; "same": as many as give ceil(H/S) rows, an
            odd one at the bottom and at the right; "full": D (K - 1).
        dilation: the step D between the taps of a filter.
        groups: cut the channels into so many groups, each with filters of its own; C makes the convolution depthwise.

    Returns:
        (N, F, OH, OW).

    Raises:
        ShapeError: the sizes do not fit. TypeError: x, w and b are not floats of one type.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
        >>> w = tg.tensor([[[[1.0, -1.0]]]])
        >>> tg.conv2d(x, w)
        tensor([[[[-1., -1.],
                  [-1., -1.]]]])

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998; padding "same" with a stride
    above 1 as in Keras (PyTorch refuses it).
    """
    return convolve(x, w, b, "none", stride, padding, dilation, groups)


def convolve(
    x: Array,
    w: Array,
    b: Array | None,
    activation: str,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """`conv2d` of arrays with an activation, as kernels name it, that is applied as the result is stored."""
    try:
        window = shapes.conv_window(x.shape, w.shape, stride, padding, dilation, groups)
        return kernels.conv2d(x, w, b, *window, groups, activation)
    except REFUSALS:
        check_convolution(x, w, b, groups)
        raise


def check_convolution(x: Array, w: Array, b: Array | None, groups: int = 1, **window: Any) -> None:
    """Raise if the arrays do not fit each other, whatever the window."""
    check_filters(w, x, "(F, C/groups, KH, KW)")
    check_images(x, channels=w.shape[1] if groups == 1 else None)
    check_bias(b, x, len(w))


def window_of(
    x_shape: shapes.Sizes,
    w_shape: shapes.Sizes,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[shapes.Sizes, shapes.Pads, shapes.Sizes]:
    """(stride, padding, dilation) as kernels take them, from conv2d's settings."""
    return shapes.conv_window(x_shape, w_shape, stride, padding, dilation, groups)


@primitive(gate="mul")
def conv2d_input_grad(
    g: Array,
    w: Array,
    *,
    x_shape: tuple[int, ...],
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """The gradient of conv2d's x, (N, C, H, W), from the upstream gradient g (N, F, OH, OW) and the filters."""
    stride, padding, dilation = shapes.conv_window(x_shape, w.shape, stride, padding, dilation, groups)
    return kernels.conv2d_input_grad(g, w, x_shape, stride, padding, dilation, groups)


@primitive(gate="mul")
def conv2d_weight_grad(
    g: Array,
    x: Array,
    *,
    w_shape: tuple[int, ...],
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """The gradient of conv2d's w, (F, C/groups, KH, KW), from the upstream gradient g (N, F, OH, OW) and the images."""
    stride, padding, dilation = shapes.conv_window(x.shape, w_shape, stride, padding, dilation, groups)
    return kernels.conv2d_weight_grad(g, x, w_shape, stride, padding, dilation, groups)[0]


conv2d.vjp(
    x=lambda g, out, x, w, b, **settings: conv2d_input_grad(g, w, x_shape=x.shape, **settings),
    w=lambda g, out, x, w, b, **settings: conv2d_weight_grad(g, x, w_shape=w.shape, **settings),
    b=lambda g, out, x, w, b, **settings: g.sum(axis=(0, 2, 3)),
)
conv2d_input_grad.vjp(
    g=lambda u, out, g, w, x_shape, **settings: conv2d(u, w, **settings),
    w=lambda u, out, g, w, x_shape, **settings: conv2d_weight_grad(g, u, w_shape=w.shape, **settings),
)
conv2d_weight_grad.vjp(
    g=lambda u, out, g, x, w_shape, **settings: conv2d(x, u, **settings),
    x=lambda u, out, g, x, w_shape, **settings: conv2d_input_grad(g, u, x_shape=x.shape, **settings),
)


def conv2d_gradients(
    wanted: Sequence[bool],
    g: Array,
    x: Array,
    w: Array,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Any, Any, Any]:
    """The gradients of x, w and b from arrays: that of b comes with that of w, in one pass over g."""
    window = (*shapes.conv_window(x.shape, w.shape, stride, padding, dilation, groups), groups)
    dx = kernels.conv2d_input_grad(g, w, x.shape, *window) if wanted[0] else None
    if wanted[1]:
        return dx, *kernels.conv2d_weight_grad(g, x, w.shape, *window)
    return dx, None, g.sum(axis=(0, 2, 3)) if wanted[2] else None


conv2d.multiply_adds = lambda out, x, w, b, **settings: out.size * math.prod(w.shape[1:])
conv2d.vjp_arrays = lambda wanted, g, out, x, w, b, **settings: conv2d_gradients(wanted, g, x, w, **settings)

# --- the same in other shapes ----------------------------------------------------------------------------------------


@primitive(gate="mul")
def conv2d_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Array:
    """The transposed convolution: every input puts a filter, times its value, into the output; overlaps add up.

    It is the input gradient of conv2d with the same settings, used forwards to make images larger.
    OH = S (H - 1) + D (KH - 1) + 1 - 2 P + output_padding.

    Arguments:
        x: images (N, C, H, W), floats. w: filters (C, F/groups, KH, KW), of x's type. b: (F,) or None.
        stride, padding, dilation, groups: those of the convolution that this is the transpose of; the padding, a
            number or a pair, is cut off the output.
        output_padding: rows and columns more at the bottom and at the right, less than the stride or the dilation:
            convolutions with a stride give outputs of the same size for several sizes of input, this picks one.

    Returns:
        (N, F, OH, OW).

    Raises:
        ShapeError: the sizes do not fit. TypeError: x, w and b are not floats of one type.

    Example:
        >>> import tensorgraph as tg
        >>> tg.conv2d_transpose(tg.tensor([[[[1.0, 2.0]]]]), tg.ones(1, 1, 1, 2), stride=2)
        tensor([[[[1., 1., 2., 2.]]]])

    Source: PyTorch's torch.nn.functional.conv_transpose2d.
    """
    check_filters(w, x, "(C, F/groups, KH, KW)")
    check_images(x, channels=w.shape[0])
    shape, stride, padding, dilation = shapes.transpose_window(
        x.shape, w.shape, stride, padding, output_padding, groups, dilation
    )
    check_bias(b, x, shape[1])
    out = kernels.conv2d_input_grad(x, w, shape, stride, padding, dilation, groups)
    if b is not None:
        out += b.reshape(-1, 1, 1)
    return out


# An output_padding of the stride or more adds windows that no element of x stands for: they are cut off the gradient of
# x, and see zeros in that of w.


def _transpose_x(g: Any, out: Any, x: Any, w: Any, b: Any, output_padding: Any = 0, **settings: Any) -> Any:
    d = conv2d(g, w, **settings)
    return d if d.shape == x.shape else d[:, :, : x.shape[2], : x.shape[3]]


def _transpose_w(g: Any, out: Any, x: Any, w: Any, b: Any, output_padding: Any = 0, **settings: Any) -> Any:
    window = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **settings}
    counts = shapes.window_sizes(g.shape[2:], w.shape[2:], *shapes.conv_window(g.shape, w.shape, **window))
    more = [(0, count - size) for count, size in zip(counts, x.shape[2:], strict=True)]
    x = pad(x, ((0, 0), (0, 0), *more)) if any(after for _, after in more) else x
    return conv2d_weight_grad(x, g, w_shape=w.shape, **settings)


conv2d_transpose.vjp(
    x=_transpose_x,
    w=_transpose_w,
    b=lambda g, out, x, w, b, **settings: g.sum(axis=(0, 2, 3)),
)
conv2d_transpose.multiply_adds = lambda out, x, w, b, **settings: x.size * math.prod(w.shape[1:])


def conv1d(
    x: Any, w: Any, b: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Slide filters along signals: `conv2d` with one spatial axis.

    Arguments:
        x: signals (N, C, L), floats. w: filters (F, C/groups, K), of x's type. b: (F,) or None.
        stride, padding, dilation, groups: as in `conv2d`.

    Returns:
        (N, F, OL), OL = floor((L + 2 P - D (K - 1) - 1) / S) + 1.

    Raises:
        ShapeError: the sizes do not fit. TypeError: x, w and b are not floats of one type.

    Example:
        >>> import tensorgraph as tg
        >>> tg.conv1d(tg.tensor([[[1.0, 2.0, 4.0]]]), tg.tensor([[[-1.0, 1.0]]]))
        tensor([[[1., 2.]]])
    """
    try:
        check_filters(w, x, "(F, C/groups, K)")
        check_images(x, "(N, C, L)", channels=w.shape[1] if groups == 1 else None)
        (s,), ((before, _),), (d,) = shapes.conv_window(x.shape, w.shape, stride, padding, dilation, groups)
        check_bias(b, x, len(w))
    except (ShapeError, TypeError) as error:
        raise located(type(error), "conv1d", error) from None
    out = conv2d(
        expand_dims(x, 2),  # (N, C, L) -> (N, C, 1, L)
        expand_dims(w, 2),  # (F, C/groups, K) -> (F, C/groups, 1, K)
        b,
        stride=(1, s),
        padding=padding if isinstance(padding, str) else (0, before),
        dilation=(1, d),
        groups=groups,
    )
    return squeeze(out, 2)  # (N, F, 1, OL) -> (N, F, OL)


# --- windows as columns ----------------------------------------------------------------------------------------------


@primitive(gate="wire")
def unfold(x: Array, /, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Array:
    """Every window of the images as a column, im2col; convolution is a matrix product with these.

    Arguments:
        x: images (N, C, H, W), floats.
        kernel_size, dilation, padding, stride: of the window, each a number or a pair (height, width).

    Returns:
        (N, C*KH*KW, L) with L = OH*OW windows, row by row. Its gradient is `fold`: a pixel in several windows gets the
        sum of theirs.

    Raises:
        ShapeError: the window does not fit. TypeError: x is not of floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.unfold(tg.tensor([[[[1.0, 2.0, 3.0]]]]), (1, 2))
        tensor([[[1., 2.],
                 [2., 3.]]])
    """
    check_images(x)
    return kernels.unfold(x, *shapes.unfold_window(x.shape, kernel_size, dilation, padding, stride))


@primitive(gate="add")
def fold(
    x: Array, /, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Array:
    """Add every column to the window it stands for, col2im: the adjoint of `unfold`, not its inverse.

    Arguments:
        x: columns (N, C*KH*KW, L), floats.
        output_size: of the images, a number or a pair (H, W).
        kernel_size, dilation, padding, stride: of the window, each a number or a pair (height, width).

    Returns:
        Images (N, C, H, W). Its gradient is `unfold`.

    Raises:
        ShapeError: the sizes do not fit. TypeError: x is not of floats.

    Example:
        >>> import tensorgraph as tg
        >>> tg.fold(tg.tensor([[[1.0, 2.0], [2.0, 3.0]]]), (1, 3), (1, 2))
        tensor([[[[1., 4., 3.]]]])
    """
    check_images(x, "(N, C*KH*KW, L)")
    shape, window = shapes.fold_window(x.shape, output_size, kernel_size, dilation, padding, stride)
    return kernels.fold(x, shape, *window)


unfold.vjp(x=lambda g, out, x, **settings: fold(g, output_size=x.shape[2:], **settings))
fold.vjp(x=lambda g, out, x, output_size, **settings: unfold(g, **settings))
