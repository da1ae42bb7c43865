"""Images with labels, as the data sets have them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.serialization import FileFormatError

Array = np.ndarray[Any, np.dtype[Any]]


class ImageSet:
    """A sequence of (image, label), with all images in memory, or in a file, as bytes.

    `data[i]` is one: image (C, H, W), float32 in [0, 1], and label, a number. `data[10:20]` and `data[array]` are
    several: images (N, C, H, W) and labels (N,). `x, y = data[:]` takes all of them, in four times the memory.

    Arguments:
        images: (N, C, H, W), uint8; np.memmap if they are to stay in a file. labels: (N,), integers.
        classes: the names of the labels 0, 1, ...

    Attributes: the same; labels are int64.

    Raises:
        ShapeError, TypeError: the arrays have other shapes or types. ValueError: a label has no name.

    Example:
        >>> import nn, numpy as np
        >>> data = nn.data.ImageSet(np.full((2, 1, 4, 4), 255, np.uint8), np.array([1, 0]), ["cat", "dog"])
        >>> image, label = data[0]
        >>> image.shape, image.max().item(), data.classes[label]
        ((1, 4, 4), 1.0, 'dog')
    """

    def __init__(self, images: Array, labels: Array, classes: Sequence[str]) -> None:
        self.images = np.asarray(images)
        self.labels = np.asarray(labels)
        self.classes = tuple(classes)
        if self.images.ndim != 4 or self.labels.shape != self.images.shape[:1]:
            raise tg.ShapeError(
                "ImageSet: images must have the shape (N, C, H, W) and labels (N,), "
                f"got {self.images.shape} and {self.labels.shape}"
            )
        if self.images.dtype != np.uint8 or self.labels.dtype.kind not in "iu":
            raise TypeError(
                f"ImageSet: images must be uint8 and labels integers, got {self.images.dtype} and {self.labels.dtype}"
            )
        self.labels = self.labels.astype(np.int64)
        if len(self) and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            raise ValueError(
                f"ImageSet: labels must be between 0 and {len(self.classes) - 1}, "
                f"got {self.labels.min()} to {self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: Any) -> tuple[Array, Any]:
        if not isinstance(which, (slice, np.ndarray, list)):
            which = operator.index(which)
            return in_zero_to_one(self.images[which]), int(self.labels[which])
        return in_zero_to_one(self.images[which]), self.labels[which].copy()

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.images.shape[1:]))
        return f"<{type(self).__name__}: {len(self):,} images of {size}, {len(self.classes)} classes>"


def in_zero_to_one(images: Array) -> Array:
    """0..255 as float32 in [0, 1]."""
    result: Array = np.divide(images, np.float32(255), dtype=np.float32)
    return result


def checked_labels(path: str, labels: Array, classes: int) -> Array:
    """Labels from a file as int64, each the number of a class."""
    if labels.max() >= classes:
        raise FileFormatError(f"{path}: it has the label {labels.max()}, expected 0 to {classes - 1}")
    return labels.astype(np.int64)
