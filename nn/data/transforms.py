"""Augmentation of batches of images: the same picture, shifted, mirrored, with a hole. Without loops over images.

Each function here makes a transform for `DataLoader(transform=...)`: a function of the batch x (N, C, H, W), float32 or
uint8, and of the batch's generator, that returns a new array and leaves x as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import choice, count, number

Array = np.ndarray[Any, np.dtype[Any]]
Random = Callable[[Array, "np.random.Generator"], Array]


def random_crop(padding: int = 4, mode: str = "constant") -> Random:
    """Shift each image by up to `padding` pixels: pad it on all sides, cut its own size out at a random place.

    Arguments:
        padding: pixels, at least 1. mode: what the border is made of: "constant" is zeros, "edge" repeats the outermost
            pixels, "reflect" mirrors the image.

    Example:
        >>> import nn, numpy as np
        >>> crop = nn.data.random_crop(padding=1)
        >>> crop(np.ones((1, 1, 2, 2)), np.random.default_rng(3))
        array([[[[0., 1.],
                 [0., 0.]]]])

    Source: He et al., Deep Residual Learning for Image Recognition, section 4.2.
    """
    padding = count("random_crop", "padding", padding)
    mode = choice("random_crop", "mode", mode, ("constant", "edge", "reflect"))

    def crop(x: Array, rng: np.random.Generator) -> Array:
        n, _, height, width = _images("random_crop", x)
        if mode == "reflect" and padding >= min(height, width):
            raise tg.ShapeError(
                f'random_crop: padding = {padding} with mode = "reflect" needs images larger than that, '
                f"got {height} x {width}"
            )
        top, left = rng.integers(0, 2 * padding + 1, (2, n))
        padded = _padded(x, padding, mode)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (2, 3))
        return windows[np.arange(n), :, top, left]  # (N, C, 2P + 1, 2P + 1, H, W) -> (N, C, H, W)

    return crop


def random_flip(p: float = 0.5) -> Random:
    """Mirror each image left to right, with probability p.

    Example:
        >>> import nn, numpy as np
        >>> flip = nn.data.random_flip(p=1)
        >>> flip(np.array([[[[1, 2, 3]]]]), np.random.default_rng(0))
        array([[[[3, 2, 1]]]])
    """
    p = number("random_flip", "p", p, 0, 1)

    def flip(x: Array, rng: np.random.Generator) -> Array:
        n, *_ = _images("random_flip", x)
        chosen = rng.random(n) < p
        flipped = x.copy()
        flipped[chosen] = x[chosen, :, :, ::-1]
        return flipped

    return flip


def cutout(size: int) -> Random:
    """Set a square of size x size pixels to 0 in each image; its centre is any pixel, so it may stick out of the image.

    After `normalize`, 0 is the mean.

    Example:
        >>> import nn, numpy as np
        >>> hole = nn.data.cutout(2)
        >>> hole(np.ones((1, 1, 3, 3)), np.random.default_rng(0))
        array([[[[1., 1., 1.],
                 [0., 0., 1.],
                 [0., 0., 1.]]]])

    Source: DeVries, Taylor, Improved Regularization of Convolutional Neural Networks with Cutout (2017).
    """
    size = count("cutout", "size", size)

    def cut(x: Array, rng: np.random.Generator) -> Array:
        n, _, height, width = _images("cutout", x)
        rows = _hit(rng.integers(0, height, n), size, height)
        in_columns = _hit(rng.integers(0, width, n), size, width)
        result = x.copy()
        np.copyto(result, x.dtype.type(0), where=rows[:, None, :, None] & in_columns[:, None, None, :])  # (N, 1, H, W)
        return result

    return cut


def normalize(mean: Any, std: Any) -> Callable[[Array], Array]:
    """(x - mean) / std, channel by channel, in float32.

    Arguments:
        mean, std: numbers, or one number for each channel, in the units of x: of the data sets here in [0, 1].

    Example:
        >>> import nn, numpy as np
        >>> nn.data.normalize([0.5, 0.0], [0.5, 1.0])(np.ones((1, 2, 1, 1), np.float32)).ravel()
        array([1., 1.], dtype=float32)
    """
    mean, std = _channels("mean", mean), _channels("std", std)
    if not (std > 0).all():
        raise ValueError(f"normalize: std must be positive, got {std}")

    def apply(x: Array) -> Array:
        _, channels, _, _ = _images("normalize", x)
        for name, value in (("mean", mean), ("std", std)):
            if value.size not in (1, channels):
                raise tg.ShapeError(f"normalize: {name} has {value.size} numbers, the images have {channels} channels")
        result: Array = np.subtract(x, mean.reshape(-1, 1, 1), dtype=np.float32)
        result /= std.reshape(-1, 1, 1)
        return result

    return apply


def _padded(x: Array, padding: int, mode: Any) -> Array:
    if mode != "constant":
        return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode)
    n, channels, height, width = x.shape
    padded = np.zeros((n, channels, height + 2 * padding, width + 2 * padding), x.dtype)
    padded[:, :, padding:-padding, padding:-padding] = x  # np.pad takes twice the time
    return padded


def _hit(centres: Array, size: int, length: int) -> Array:
    """(N,) -> (N, length): which places a stretch of `size` around each centre covers."""
    offset = np.arange(length) - centres[:, None] + size // 2
    return (offset >= 0) & (offset < size)


def _channels(name: str, value: Any) -> Array:
    numbers = np.asarray(value, np.float32)
    if numbers.ndim > 1:
        raise tg.ShapeError(f"normalize: {name} must be a number, or one for each channel, got shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"normalize: {name} must be finite, got {numbers}")
    return numbers


def _images(owner: str, x: Array) -> tuple[int, int, int, int]:
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{owner}: x must be an array of images, got {type(x).__name__}")
    if x.ndim != 4:
        raise tg.ShapeError(f"{owner}: x must have the shape (N, C, H, W), got {x.shape}")
    n, channels, height, width = x.shape
    return n, channels, height, width
