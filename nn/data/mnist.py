"""Handwritten digits."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def mnist_mini() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The handwritten digits that come with the library: a part of MNIST, as many of each class.

    Returns:
        (x_train, y_train), (x_test, y_test) with 5,000 and 1,000 images. x: (N, 1, 28, 28), float32 in [0, 1], 0 the
        paper and 1 the ink; y: (N,), int64, the digits.

    Example:
        >>> import nn
        >>> (x_train, y_train), (x_test, y_test) = nn.data.mnist_mini()
        >>> x_train.shape, y_test.shape
        ((5000, 1, 28, 28), (1000,))

    Source: LeCun, Cortes, Burges, MNIST; licence in MNIST-LICENSE.md beside the file.
    """
    with np.load(os.path.join(os.path.dirname(__file__), "mnist_mini.npz"), allow_pickle=False) as file:
        x_train, y_train, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    return (_images(x_train), y_train.astype(np.int64)), (_images(x_test), y_test.astype(np.int64))


def _images(bytes_: Array) -> Array:
    """(N, 28, 28) in 0..255 -> (N, 1, 28, 28) in [0, 1]"""
    return bytes_[:, None].astype(np.float32) / 255
