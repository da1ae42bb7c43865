"""Small photographs."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nn._checks import flag
from nn.data.download import Remote
from nn.data.folders import Place
from nn.data.images import ImageSet, checked_labels
from nn.data.tar import read_tar
from nn.data.unpack import Content

Array = np.ndarray[Any, np.dtype[Any]]
_CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32  # bytes: the label, the red, the green and the blue pixels
_MOST = 10_000  # records in a file
_ARCHIVE = Remote(
    "cifar-10-binary.tar.gz",
    most=171_000_000,
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    unpacked=False,
)
_MIRRORS = ("https://www.cs.toronto.edu/~kriz", "https://cave.cs.toronto.edu/kriz")
_TRAIN, _TEST = tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",)
_FOLDERS = ("cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin")
_PICKLED = ("cifar-10-batches-py", "cifar-10-python.tar.gz", "data_batch_1")


class CIFAR10(ImageSet):
    """Photographs of animals and vehicles: 50,000 to train with and 10,000 to test with, in colour, 32 x 32.

    Arguments:
        root: the folder with cifar-10-binary.tar.gz, or with the folder cifar-10-batches-bin that is in it; or with a
            folder cifar10 that has one of them. The folder that TENSORGRAPH_DATA names if None, else one in the user's
            cache. The "Python version" of the data set is not read: it is a pickle, and to read a pickle is to run it.
        train: the training images, else the test images. download: fetch them if they are not there.

    Raises:
        FileNotFoundError: they are not there. FileFormatError: a file is damaged, or not what its name says.
        TypeError: train or download is neither True nor False.

    Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).
    """

    def __init__(self, root: str | os.PathLike[str] | None = None, train: bool = True, download: bool = False) -> None:
        train, download = flag(self, "train", train), flag(self, "download", download)
        names = _TRAIN if train else _TEST
        place = Place("CIFAR10", root, _FOLDERS)
        if paths := place.find([[name] for name in names]):
            parts = [_read_file(path) for path in paths]
        else:
            hint = _lacking_hint(place, names) or _pickled_hint(place.root)
            (archive,) = place.files([[_ARCHIVE.name]], _MIRRORS, [_ARCHIVE], download, hint)
            parts = _read_archive(archive, names)
        super().__init__(*_joined(parts), _CLASSES)


def _read_file(path: str) -> Array:
    with open(path, "rb") as file:
        content = Content(file, _MOST * _RECORD)
        records = _room(content, os.path.basename(path), content.size)
        content.fill(records)
        content.finish()
    return _checked(path, records)


def _read_archive(path: str, names: tuple[str, ...]) -> list[Array]:
    found: dict[str, Array] = {}
    unwanted = np.empty((_MOST, _RECORD), np.uint8)

    def place(member: str, size: int) -> Array | None:
        name = member.rpartition("/")[2]
        if name not in _TRAIN + _TEST:
            return None
        if name in found:
            raise content.error(f"{name} is in it twice")
        room = _room(content, name, size)
        found[name] = room if name in names else unwanted[: len(room)]
        return found[name]

    with open(path, "rb") as file:
        content = Content(file, 8 * _MOST * _RECORD)
        read_tar(content, place)
    if lacking := set(names) - set(found):
        raise content.error(f"{', '.join(sorted(lacking))} is not in it")
    return [_checked(f"{path}: {name}", found[name]) for name in names]


def _room(content: Content, name: str, size: int) -> Array:
    """An array for the records in a file of that size."""
    if size % _RECORD or not 0 < size <= _MOST * _RECORD:
        raise content.error(f"{name} has {size:,} bytes, expected {_RECORD:,} for each image and 1 to {_MOST:,} images")
    return np.empty((size // _RECORD, _RECORD), np.uint8)


def _checked(path: str, records: Array) -> Array:
    checked_labels(path, records[:, 0], len(_CLASSES))
    return records


def _joined(parts: list[Array]) -> tuple[Array, Array]:
    """Images (N, 3, 32, 32) and labels (N,) of several files, whose arrays are given up one by one."""
    labels = np.concatenate([part[:, 0] for part in parts]).astype(np.int64)
    images, start = np.empty((len(labels), *_SHAPE), np.uint8), 0
    while parts:
        part = parts.pop(0)
        images[start : start + len(part)] = part[:, 1:].reshape(-1, *_SHAPE)
        start += len(part)
    return images, labels


def _lacking_hint(place: Place, names: tuple[str, ...]) -> str:
    """A remark for those who have some of the files in a folder, but not all."""
    for folder in place.everywhere:
        lacking = [name for name in names if not os.path.isfile(os.path.join(folder, name))]
        if len(lacking) < len(names):
            return f" (in {folder} only {', '.join(lacking)} is missing)"
    return ""


def _pickled_hint(folder: str) -> str:
    """A remark for those who have the data set, but as a pickle."""
    for name in (*_PICKLED, *(f"{_FOLDERS[0]}/{name}" for name in _PICKLED)):
        if os.path.exists(os.path.join(folder, name)):
            return f" ({name} is the Python version, a pickle, which is never read, as to read it is to run it)"
    return ""
