"""The data sets of the command line, by name or from a folder, and how their images become a network's."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nn import data
from nn.cli.failure import WrongArgument
from nn.cli.networks import LEAST, Input, takers
from nn.data import cifar

Array = np.ndarray[Any, np.dtype[Any]]
Transform = Callable[..., Array]


Shape = tuple[int, int, int]  # (C, H, W)


class Pictures(NamedTuple):
    """What is known of the images of a data set before they are read, and how they are read.

    `read` gives those to train with and those to test with, each what a DataLoader takes, in [0, 1]. `ink` says that
    they are bright ink on a dark ground.
    """

    shape: Shape
    classes: tuple[str, ...]
    augment: list[Transform]
    normalize: list[Transform]
    read: Callable[[], tuple[Any, Any]]
    ink: bool = False


def _like_mnist(kind: type[data.MNIST], *augment: Transform) -> Pictures:
    return Pictures((1, 28, 28), kind._classes, [data.random_crop(1), *augment], [], _fetched(kind), ink=True)


def _mnist_mini() -> Pictures:
    return _like_mnist(data.MNIST)._replace(read=data.mnist_mini)


def _cifar10() -> Pictures:
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of its training images
    normalize = [data.normalize(mean, std)]
    return Pictures((3, 32, 32), cifar._CLASSES, _photographs(32), normalize, _fetched(data.CIFAR10))


def _fetched(kind: Any) -> Callable[[], tuple[Any, Any]]:
    return lambda: (kind(train=True, download=True), kind(train=False, download=True))


def _photographs(size: int) -> list[Transform]:
    return [data.random_crop(max(1, size // 8)), data.random_flip()]


_SETS: dict[str, Callable[[], Pictures]] = {
    "mnist-mini": _mnist_mini,
    "mnist": lambda: _like_mnist(data.MNIST),
    "fashion-mnist": lambda: _like_mnist(data.FashionMNIST, data.random_flip()),
    "cifar10": _cifar10,
}
NAMES = tuple(_SETS)
_USUAL_SIZE = 64  # of pictures from a folder, in pixels


def known(name: str, wanted: Input, image_size: int | None) -> Pictures:
    """The data set of that name, or of that folder.

    Images from a folder are brought to what the network wants, and to image_size if it takes any.
    """
    pictures = _SETS[name]() if name in _SETS else _folder(name, wanted, image_size or _USUAL_SIZE)
    size = pictures.shape[1]
    if image_size not in (None, size):
        whose = name if name in _SETS else wanted.name
        text = f"is for pictures from a folder and networks that take any size; {whose} has images of {size} x {size}"
        raise WrongArgument("--image-size", text)
    return pictures


def _folder(name: str, wanted: Input, image_size: int) -> Pictures:
    """The pictures in a folder."""
    if not os.path.isdir(name):
        raise WrongArgument("--data", f"{name!r} is no folder, and none of {', '.join(NAMES)}")
    from nn.cli.pictures import class_names, read_folder

    channels, size = wanted.channels, wanted.size or image_size
    classes, normalize = class_names(name), [data.normalize(0.5, 0.25)]
    read = lambda: read_folder(name, classes, channels, size)  # noqa: E731
    return Pictures((channels, size, size), classes, _photographs(size), normalize, read)


def fitted(name: str, shape: Shape, wanted: Input) -> tuple[list[Transform], list[str]]:
    """What brings the images of a data set to those that a network wants, and that in words.

    A border of zeros makes them larger, and grey is taken for red, green and blue; anything else is refused.
    """
    channels, height, _ = shape
    steps: list[Transform] = []
    said = []
    size = wanted.size or max(height, LEAST)
    if height < size <= height + 8:
        border = ((size - height) // 2, (size - height + 1) // 2)
        steps.append(lambda x: np.pad(x, ((0, 0), (0, 0), border, border)))
        said.append(f"a border makes the images {size} x {size}")
        height = size
    if (channels, wanted.channels) == (1, 3):
        steps.append(lambda x: np.repeat(x, 3, axis=1))
        said.append("grey is taken for red, green and blue")
        channels = 3
    if (channels, height) != (wanted.channels, size):
        kind = {1: "grey", 3: "colour"}
        has = f"{kind[shape[0]]} images of {shape[1]} x {shape[2]}"
        wants = f"{kind[wanted.channels]} images of {size} x {size}"
        raise WrongArgument("--model", f"{wanted.name} takes {wants}, {name} has {has}; {takers(shape)}")
    return steps, said


def size_of(examples: Any) -> int:
    """How many there are."""
    return len(examples[1]) if isinstance(examples, tuple) else len(examples)
