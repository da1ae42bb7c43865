"""The kernels in plain NumPy, to be read: they define what a kernel computes, faster ones are tested against them."""

from tensorgraph.kernels.reference.conv import conv2d, conv2d_input_grad, conv2d_weight_grad
from tensorgraph.kernels.reference.pool import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_grad,
    avg_pool2d,
    avg_pool2d_grad,
    max_pool2d,
    max_pool2d_grad,
    max_pool2d_take,
)
from tensorgraph.kernels.reference.windows import fold, unfold

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_grad",
    "avg_pool2d",
    "avg_pool2d_grad",
    "conv2d",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "fold",
    "max_pool2d",
    "max_pool2d_grad",
    "max_pool2d_take",
    "unfold",
]
