"""The compiled kernels, each with the signature of its twin in `reference`; what they do not take goes to the twin."""

from tensorgraph.kernels.native.conv import conv2d, conv2d_input_grad, conv2d_weight_grad
from tensorgraph.kernels.reference import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_grad,
    avg_pool2d,
    avg_pool2d_grad,
    fold,
    max_pool2d,
    max_pool2d_grad,
    max_pool2d_take,
    unfold,
)

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
