"""What convolution and pooling refuse, and in which words."""

import numpy as np
import pytest

from tensorgraph import (
    ShapeError,
    adaptive_avg_pool2d,
    avg_pool2d,
    conv1d,
    conv2d,
    conv2d_transpose,
    fold,
    max_pool2d,
    scope,
    unfold,
)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


X, W, B = normal(2, 6, 8, 8), normal(4, 3, 3, 3), normal(4)
SPELLED = 'padding must be an integer or a pair (height, width), "valid", "same" or "full", got '

REFUSED = {
    # channels, axes, bias
    "channels": (
        lambda: conv2d(normal(32, 3, 28, 28), normal(8, 6, 5, 5)),
        "conv2d: expected 6 input channels, got x of shape (32, 3, 28, 28)",
    ),
    "channels of groups": (
        lambda: conv2d(normal(1, 3, 5, 5), normal(4, 3, 3, 3), groups=2),
        "conv2d: expected 6 input channels, got x of shape (1, 3, 5, 5)",
    ),
    "channels, one axis": (
        lambda: conv1d(normal(2, 3, 9), normal(8, 6, 5)),
        "conv1d: expected 6 input channels, got x of shape (2, 3, 9)",
    ),
    "channels, transposed": (
        lambda: conv2d_transpose(normal(2, 3, 5, 5), normal(4, 8, 3, 3)),
        "conv2d_transpose: expected 4 input channels, got x of shape (2, 3, 5, 5)",
    ),
    "channels last": (
        lambda: conv2d(normal(32, 28, 28, 3), normal(8, 3, 5, 5)),
        "conv2d: expected 3 input channels, got x of shape (32, 28, 28, 3); "
        "images are (N, C, H, W), not (N, H, W, C): use x.transpose(0, 3, 1, 2)",
    ),
    "channels last, one axis": (
        lambda: conv1d(normal(2, 9, 6), normal(8, 6, 5)),
        "conv1d: expected 6 input channels, got x of shape (2, 9, 6); "
        "signals are (N, C, L), not (N, L, C): use x.transpose(0, 2, 1)",
    ),
    "channels last, transposed": (
        lambda: conv2d_transpose(normal(2, 5, 5, 4), normal(4, 8, 3, 3)),
        "conv2d_transpose: expected 4 input channels, got x of shape (2, 5, 5, 4); "
        "images are (N, C, H, W), not (N, H, W, C): use x.transpose(0, 3, 1, 2)",
    ),
    "no batch axis": (
        lambda: conv2d(normal(3, 28, 28), normal(8, 3, 5, 5)),
        "conv2d: x must have 4 axes (N, C, H, W), got shape (3, 28, 28); add a batch axis with x.reshape(1, 3, 28, 28)",
    ),
    "no channel axis": (
        lambda: conv2d(normal(8, 28, 28), normal(6, 1, 5, 5)),
        "conv2d: x must have 4 axes (N, C, H, W), got shape (8, 28, 28); add a channel axis with "
        "x.reshape(8, 1, 28, 28)",
    ),
    "no channel axis, one axis": (
        lambda: conv1d(normal(8, 28), normal(6, 1, 5)),
        "conv1d: x must have 3 axes (N, C, L), got shape (8, 28); add a channel axis with x.reshape(8, 1, 28)",
    ),
    "no channel axis, transposed": (
        lambda: conv2d_transpose(normal(8, 7, 7), normal(1, 6, 2, 2)),
        "conv2d_transpose: x must have 4 axes (N, C, H, W), got shape (8, 7, 7); add a channel axis with "
        "x.reshape(8, 1, 7, 7)",
    ),
    "no batch axis, one channel": (
        lambda: conv2d(normal(1, 28, 28), normal(6, 1, 5, 5)),
        "conv2d: x must have 4 axes (N, C, H, W), got shape (1, 28, 28); add a batch axis with x.reshape(1, 1, 28, 28)",
    ),
    "no batch axis, depthwise": (
        lambda: conv2d(normal(8, 28, 28), normal(8, 1, 5, 5), groups=8),
        "conv2d: x must have 4 axes (N, C, H, W), got shape (8, 28, 28); add a batch axis with x.reshape(1, 8, 28, 28)",
    ),
    "no batch and channel axes": (
        lambda: max_pool2d(normal(28, 28), 2),
        "max_pool2d: x must have 4 axes (N, C, H, W), got shape (28, 28); "
        "add a batch and a channel axis with x.reshape(1, 1, 28, 28)",
    ),
    "flat": (lambda: avg_pool2d(normal(28), 2), "avg_pool2d: x must have 4 axes (N, C, H, W), got shape (28,)"),
    "five axes": (
        lambda: adaptive_avg_pool2d(normal(1, 1, 1, 2, 2), 1),
        "adaptive_avg_pool2d: x must have 4 axes (N, C, H, W), got shape (1, 1, 1, 2, 2)",
    ),
    "images to conv1d": (
        lambda: conv1d(normal(1, 3, 8, 8), normal(4, 3, 3)),
        "conv1d: x must have 3 axes (N, C, L), got shape (1, 3, 8, 8)",
    ),
    "axes of w": (
        lambda: conv2d(X, normal(4, 6, 3)),
        "conv2d: w must have 4 axes (F, C/groups, KH, KW), got shape (4, 6, 3)",
    ),
    "axes of w, transposed": (
        lambda: conv2d_transpose(X, normal(6, 4, 3)),
        "conv2d_transpose: w must have 4 axes (C, F/groups, KH, KW), got shape (6, 4, 3)",
    ),
    "empty kernel": (
        lambda: conv2d(X, normal(4, 6, 0, 3)),
        "conv2d: w of shape (4, 6, 0, 3) is empty; every axis of (F, C/groups, KH, KW) needs at least 1 element",
    ),
    "bias": (
        lambda: conv2d(X, W, normal(4, 1), groups=2),
        "conv2d: b must have shape (4,), one number for each output channel, got shape (4, 1)",
    ),
    "bias, transposed": (
        lambda: conv2d_transpose(X, normal(6, 2, 3, 3), normal(2), groups=2),
        "conv2d_transpose: b must have shape (4,), one number for each output channel, got shape (2,)",
    ),
    "bias, one axis": (
        lambda: conv1d(normal(1, 3, 8), normal(4, 3, 3), normal(3)),
        "conv1d: b must have shape (4,), one number for each output channel, got shape (3,)",
    ),
    # groups
    "groups": (
        lambda: conv2d(X, normal(4, 2, 3, 3), groups=3),
        "conv2d: groups = 3 does not divide the 4 output channels of w of shape (4, 2, 3, 3)",
    ),
    "groups, transposed": (
        lambda: conv2d_transpose(X, normal(6, 2, 3, 3), groups=4),
        "conv2d_transpose: groups = 4 does not divide the 6 input channels of w of shape (6, 2, 3, 3)",
    ),
    "no groups": (lambda: conv2d(X, W, groups=0), "conv2d: groups must be positive, got 0"),
    # numbers
    "stride 0": (lambda: conv2d(X, W, groups=2, stride=0), "conv2d: stride must be positive, got 0"),
    "stride below 0": (lambda: max_pool2d(X, 2, stride=(1, -2)), "max_pool2d: stride must be positive, got (1, -2)"),
    "dilation 0": (lambda: unfold(X, 2, dilation=0), "unfold: dilation must be positive, got 0"),
    "kernel 0": (lambda: avg_pool2d(X, (0, 2)), "avg_pool2d: kernel_size must be positive, got (0, 2)"),
    "padding below 0": (lambda: conv2d(X, W, groups=2, padding=-1), "conv2d: padding must be 0 or more, got -1"),
    "no bins": (lambda: adaptive_avg_pool2d(X, 0), "adaptive_avg_pool2d: output_size must be positive, got (0, 0)"),
    "triple": (
        lambda: max_pool2d(X, 2, stride=(1, 1, 1)),
        "max_pool2d: stride must be an integer or a pair (height, width), got (1, 1, 1)",
    ),
    "pair for one axis": (
        lambda: conv1d(normal(1, 3, 8), normal(4, 3, 3), stride=(1, 2)),
        "conv1d: stride must be an integer, got (1, 2)",
    ),
    "unknown padding": (lambda: conv2d(X, W, groups=2, padding="vaild"), "conv2d: " + SPELLED + "'vaild'"),
    "triple padding": (lambda: conv2d(X, W, groups=2, padding=(1, 1, 1)), "conv2d: " + SPELLED + "(1, 1, 1)"),
    "output_padding": (
        lambda: conv2d_transpose(X, normal(6, 4, 3, 3), stride=2, output_padding=2),
        "conv2d_transpose: output_padding = 2 must be smaller than stride = 2 or dilation = 1",
    ),
    # sizes
    "large kernel": (
        lambda: conv2d(normal(1, 3, 4, 4), normal(2, 3, 5, 5)),
        "conv2d: a kernel of size (5, 5) does not fit into x of shape (1, 3, 4, 4); "
        "use a smaller kernel or more padding",
    ),
    "large kernel, padded and dilated": (
        lambda: conv2d(normal(1, 3, 4, 4), normal(2, 3, 3, 5), padding=(1, 2), dilation=(1, 3)),
        "conv2d: a kernel of size (3, 5) with dilation (1, 3) spans (3, 13) and does not fit into "
        "x of shape (1, 3, 4, 4), padded to (6, 8); use a smaller kernel or more padding",
    ),
    "large window": (
        lambda: max_pool2d(normal(1, 1, 2, 2), 3),
        "max_pool2d: a kernel of size (3, 3) does not fit into x of shape (1, 1, 2, 2); "
        "use a smaller kernel or more padding",
    ),
    "large window, unfold": (
        lambda: unfold(normal(1, 1, 2, 2), 3),
        "unfold: a kernel of size (3, 3) does not fit into x of shape (1, 1, 2, 2); "
        "use a smaller kernel or more padding",
    ),
    "large kernel, one axis": (
        lambda: conv1d(normal(1, 3, 4), normal(2, 3, 5)),
        "conv1d: a kernel of size (5,) does not fit into x of shape (1, 3, 4); use a smaller kernel or more padding",
    ),
    "padding of pooling": (
        lambda: max_pool2d(X, (2, 3), padding=(1, 2)),
        "max_pool2d: padding = (1, 2) is more than half of kernel_size = (2, 3)",
    ),
    "padding cuts all off": (
        lambda: conv2d_transpose(normal(1, 1, 3, 3), normal(1, 1, 2, 2), padding=2),
        "conv2d_transpose: padding = 2 leaves nothing of the output of x of shape (1, 1, 3, 3); use less padding",
    ),
    "empty images": (
        lambda: max_pool2d(normal(2, 3, 0, 4), 2),
        "max_pool2d: x of shape (2, 3, 0, 4) is empty; only the batch axis may have size 0",
    ),
    "empty images, adaptive": (
        lambda: adaptive_avg_pool2d(normal(2, 3, 0, 4), 2),
        "adaptive_avg_pool2d: x of shape (2, 3, 0, 4) is empty; only the batch axis may have size 0",
    ),
    # columns
    "columns, axes": (
        lambda: fold(normal(8, 9), (4, 4), 2),
        "fold: x must have 3 axes (N, C*KH*KW, L), got shape (8, 9); add a batch axis with x.reshape(1, 8, 9)",
    ),
    "columns, taps": (
        lambda: fold(normal(2, 10, 9), (4, 4), 2),
        "fold: axis 1 of x of shape (2, 10, 9) must be a multiple of 4, the size of kernel (2, 2)",
    ),
    "columns, windows": (
        lambda: fold(normal(2, 12, 8), (4, 4), 2),
        "fold: axis 2 of x of shape (2, 12, 8) must be 9: 3 x 3 windows fit into output_size = (4, 4)",
    ),
    "columns, large kernel": (
        lambda: fold(normal(2, 12, 8), 2, 3),
        "fold: a kernel of size (3, 3) does not fit into output_size = 2; use a smaller kernel or more padding",
    ),
}

WRONG_TYPES = {
    "bytes": (
        lambda: conv2d(np.zeros((1, 3, 4, 4), np.uint8), normal(2, 3, 3, 3)),
        'conv2d: x must hold floats, got uint8; convert it with x.astype("float32")',
    ),
    "integer filters": (
        lambda: conv2d(X, np.ones((4, 3, 3, 3), int), groups=2),
        'conv2d: w must hold floats, got int64; convert it with w.astype("float32")',
    ),
    "integers to pooling": (
        lambda: max_pool2d(np.zeros((1, 3, 4, 4), int), 2),
        'max_pool2d: x must hold floats, got int64; convert it with x.astype("float32")',
    ),
    "two types": (
        lambda: conv2d(X, W.astype("float32"), groups=2),
        'conv2d: x is float64 and w is float32; convert one, as with x.astype("float32")',
    ),
    "type of the bias": (
        lambda: conv2d(X, W, B.astype("float32"), groups=2),
        'conv2d: x is float64 and b is float32; convert one, as with x.astype("float32")',
    ),
    "two types, one axis": (
        lambda: conv1d(normal(1, 3, 8), normal(4, 3, 3).astype("float32")),
        'conv1d: x is float64 and w is float32; convert one, as with x.astype("float32")',
    ),
    "text": (lambda: conv2d("x", W), "conv2d: x must be a tensor, an array or a number, got str"),
    "no filters": (lambda: conv2d(X, None), "conv2d: w must be a tensor or an array, got NoneType"),
    "fraction": (
        lambda: conv2d(X, W, groups=2, stride=1.5),
        "conv2d: stride must be an integer or a pair (height, width), got 1.5",
    ),
    "bool": (
        lambda: max_pool2d(X, True),
        "max_pool2d: kernel_size must be an integer or a pair (height, width), got True",
    ),
    "fraction of groups": (lambda: conv2d(X, W, groups=2.0), "conv2d: groups must be an integer, got 2.0"),
    "padding": (lambda: conv2d(X, W, groups=2, padding=None), "conv2d: " + SPELLED + "None"),
    "words for pooling": (
        lambda: max_pool2d(X, 2, padding="same"),
        "max_pool2d: padding must be an integer or a pair (height, width), got 'same'",
    ),
}


@pytest.mark.parametrize(("call", "text"), REFUSED.values(), ids=REFUSED)
def test_sizes_that_do_not_work_are_explained(call, text):
    with pytest.raises(ShapeError) as error:
        call()
    assert str(error.value) == text


@pytest.mark.parametrize(("call", "text"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_types_that_do_not_work_are_explained(call, text):
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value) == text


def test_the_layer_is_named():
    with scope("features.2 (Conv2d)"), pytest.raises(ShapeError) as error:
        conv2d(normal(32, 3, 28, 28), normal(8, 6, 5, 5))
    assert str(error.value) == "features.2 (Conv2d): expected 6 input channels, got x of shape (32, 3, 28, 28)"
    with scope("features.2 (Conv1d)"), pytest.raises(ShapeError) as error:
        conv1d(normal(2, 3, 9), normal(8, 6, 5))
    assert str(error.value) == "features.2 (Conv1d): expected 6 input channels, got x of shape (2, 3, 9)"
