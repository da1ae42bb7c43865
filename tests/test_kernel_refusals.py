"""Kernels that operations rely on to refuse what does not fit, compiled ones and their NumPy twins: ops/_checks.py."""

import numpy as np
import pytest

from tensorgraph import kernels
from tensorgraph.kernels import reference
from tensorgraph.ops._checks import REFUSALS

F32, F64, I64 = np.float32, np.float64, np.int64
WINDOW = (1, 1), ((0, 0), (0, 0)), (1, 1), 1
LINEAR = {  # shapes and types of x, w and b; NumPy would broadcast or promote most of them
    "whole numbers": ((2, 3), I64, (4, 3), I64, None, None),
    "two precisions": ((2, 3), F32, (4, 3), F64, None, None),
    "a bias of another precision": ((2, 3), F32, (4, 3), F32, (4,), F64),
    "a bias of one number": ((2, 3), F32, (4, 3), F32, (1,), F32),
    "a bias of two axes": ((2, 3), F32, (4, 3), F32, (1, 4), F32),
    "too few features": ((2, 1), F32, (4, 3), F32, None, None),
    "a number for x": ((), F32, (4, 3), F32, None, None),
    "a vector for w": ((2, 3), F32, (3,), F32, None, None),
    "a batch of matrices for w": ((2, 3), F32, (2, 4, 3), F32, None, None),
}
CONV2D = {
    "whole numbers": ((1, 2, 5, 5), I64, (4, 2, 3, 3), I64, None, None),
    "two precisions": ((1, 2, 5, 5), F32, (4, 2, 3, 3), F64, None, None),
    "a bias of another precision": ((1, 2, 5, 5), F32, (4, 2, 3, 3), F32, (4,), F64),
    "a bias of one number": ((1, 2, 5, 5), F32, (4, 2, 3, 3), F32, (1,), F32),
    "a bias of two axes": ((1, 2, 5, 5), F32, (4, 2, 3, 3), F32, (4, 1), F32),
    "an image alone": ((2, 5, 5), F32, (4, 2, 3, 3), F32, None, None),
    "a filter alone": ((1, 2, 5, 5), F32, (2, 3, 3), F32, None, None),
}


def refused(kernel, settings, x_shape, x_type, w_shape, w_type, b_shape, b_type):
    b = None if b_shape is None else np.ones(b_shape, b_type)
    with pytest.raises(REFUSALS):
        kernel(np.ones(x_shape, x_type), np.ones(w_shape, w_type), b, *settings)


def other_precision(given):
    swapped = {F32: F64, F64: F32}
    return tuple(swapped.get(item, item) for item in given)


@pytest.mark.parametrize("precision", [tuple, other_precision])
@pytest.mark.parametrize("given", LINEAR.values(), ids=LINEAR)
def test_linear_kernels_refuse_what_does_not_fit(given, precision):
    refused(kernels.linear, (), *precision(given))
    refused(reference.linear, (), *precision(given))


@pytest.mark.parametrize("precision", [tuple, other_precision])
@pytest.mark.parametrize("given", CONV2D.values(), ids=CONV2D)
def test_convolution_kernels_refuse_what_does_not_fit(given, precision):
    refused(kernels.conv2d, WINDOW, *precision(given))
    refused(reference.conv2d, WINDOW, *precision(given))
    pool = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)
    refused(kernels.conv2d_max_pool2d, (WINDOW[:3], 1, pool, False, 0.0), *precision(given))
