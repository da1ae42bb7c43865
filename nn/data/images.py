"""Images with labels, as the data sets have them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from nn.serialization import FileFormatError

Array = np.ndarray[Any, np.dtype[Any]]


class ImageSet:
    """A sequence of (image, label).

    `data[i]` is one: image (C, H, W), float32 in [0, 1], and label, a number. `data[10:20]` and `data[array]` are
    several: images (N, C, H, W) and labels (N,), int64. `x, y = data[:]` takes all of them, in four times the memory.

    Attributes:
        images: (N, C, H, W), uint8, as in the files. labels: (N,), int64. classes: the names of the labels.
    """

    def __init__(self, images: Array, labels: Array, classes: tuple[str, ...]) -> None:
        self.images = images
        self.labels = labels
        self.classes = classes

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
