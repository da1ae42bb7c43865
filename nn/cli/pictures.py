"""Pictures from files, by Pillow."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nn.cli.failure import Failure
from nn.data import ImageSet

Array = np.ndarray[Any, np.dtype[Any]]
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_EVERY = 5  # where a folder has no pictures for testing, every fifth one is
_INK = 20  # the longer side of a digit of MNIST


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise Failure("pictures are read with Pillow, which is not installed: pip install Pillow") from None
    return Image


def read_picture(path: str, channels: int, size: int) -> Array:
    """A picture, its middle if it is not square, as (C, size, size), uint8, grey or in colour."""
    image = _opened(path, channels)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.resize((size, size), box=(left, top, left + side, top + side))
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def read_ink(path: str, size: int) -> tuple[Array, list[str]]:
    """A digit as MNIST has them, (1, size, size), uint8, bright on dark; and what was done to it.

    Dark on bright is inverted. What is not of that size is cut out, its longer side made 20 pixels, and its centre of
    mass put into the middle.
    """
    image, done = np.asarray(_opened(path, 1)), []
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    if edge.mean() > 127:
        image = 255 - image
        done.append("inverted")
    if image.shape == (size, size):
        return image[None], done
    inked = image > max(int(image.max()) // 4, int(255 - edge.mean()) // 4 if done else int(edge.mean()) + 16)
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    if not len(rows):
        raise Failure(f"{path}: there is nothing on it")
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = _INK / max(image.shape)
    height, width = (max(1, round(side * scale)) for side in image.shape)
    small = np.asarray(_pillow().fromarray(image).resize((width, height)), np.float64)
    mass = small.sum()
    middle = [round(float((small.sum(axis=1 - axis) @ np.arange(small.shape[axis])) / mass)) for axis in (0, 1)]
    top, left = (min(max(size // 2 - m, 0), size - n) for m, n in zip(middle, small.shape, strict=True))
    canvas = np.zeros((1, size, size), np.uint8)
    canvas[0, top : top + height, left : left + width] = small
    return canvas, [*done, "cut out and centred"]


def _opened(path: str, channels: int) -> Any:
    """A picture of Pillow, grey or in colour; what is transparent is white."""
    pillow = _pillow()
    try:
        with pillow.open(path) as file:
            image = file
            if "A" in image.getbands() or "transparency" in image.info:
                white = pillow.new("RGBA", image.size, "white")
                image = pillow.alpha_composite(white, image.convert("RGBA"))
            return image.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, pillow.DecompressionBombError) as error:
        raise Failure(f"{path}: no picture that can be read: {error}") from None


def class_names(folder: str) -> tuple[str, ...]:
    """The classes of the pictures in a folder, of which each has a folder, there or in train and test (or val)."""
    root = _halves(folder)[0] if _halves(folder) else folder
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    if len(classes) < 2:
        raise Failure(f"{folder}: expected a folder of pictures for each class, found {', '.join(classes) or 'none'}")
    return tuple(classes)


def read_folder(folder: str, classes: tuple[str, ...], channels: int, size: int) -> tuple[ImageSet, ImageSet]:
    """The pictures of a folder to train with and to test with; if it has no train and test, every fifth is to test."""
    halves = _halves(folder)
    if halves:
        parts = [_files(root, classes) for root in halves]
    else:
        files = _files(folder, classes)
        parts = [[file for i, file in enumerate(files, 1) if i % _EVERY], files[_EVERY - 1 :: _EVERY]]
    for name, part in zip(("train with", "test with"), parts, strict=True):
        if not part:
            raise Failure(f"{folder}: there are no pictures to {name}, such as {classes[0]}/1.png")
    train, test = (ImageSet(*_read(part, channels, size), classes) for part in parts)
    return train, test


def _halves(folder: str) -> list[str]:
    """The folders train and test (or val) in it, if it has both."""
    train, *tests = (os.path.join(folder, name) for name in ("train", "test", "val"))
    found = [train, *filter(os.path.isdir, tests)][:2]
    return found if os.path.isdir(train) and len(found) == 2 else []


def _files(root: str, classes: tuple[str, ...]) -> list[tuple[str, int]]:
    """The pictures with the numbers of their classes."""
    found = []
    for label, name in enumerate(classes):
        folder = os.path.join(root, name)
        if not os.path.isdir(folder):
            raise Failure(f"{root}: there is no folder {name}, as there is in train")
        found += [
            (os.path.join(folder, file), label)
            for file in sorted(os.listdir(folder))
            if file.lower().endswith(_SUFFIXES)
        ]
    return found


def _read(files: list[tuple[str, int]], channels: int, size: int) -> tuple[Array, Array]:
    images = np.empty((len(files), channels, size, size), np.uint8)
    for image, (path, _) in zip(images, files, strict=True):
        image[...] = read_picture(path, channels, size)
    return images, np.array([label for _, label in files])
