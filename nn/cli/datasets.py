"""The data sets of the command line, by name or from a folder, and how their images become a network's."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nn import data
from nn.cli.failure import WrongArgument
from nn.cli.networks import LEAST, Input, takers

Array = np.ndarray[Any, np.dtype[Any]]
Transform = Callable[..., Array]


class Pictures(NamedTuple):
    """Images to learn from and others to be tested on, in [0, 1]: what a DataLoader takes."""

    train: Any
    test: Any
    classes: tuple[str, ...]
    augment: list[Transform]
    normalize: list[Transform]


def _mnist_mini() -> Pictures:
    train, test = data.mnist_mini()
    return Pictures(train, test, tuple("0123456789"), [data.random_crop(1)], [])


def _like_mnist(kind: Any, *augment: Transform) -> Pictures:
    train, test = _fetched(kind)
    return Pictures(train, test, train.classes, list(augment), [])


def _cifar10() -> Pictures:
    train, test = _fetched(data.CIFAR10)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of its training images
    return Pictures(train, test, train.classes, _photographs(32), [data.normalize(mean, std)])


def _fetched(kind: Any) -> tuple[Any, Any]:
    return kind(train=True, download=True), kind(train=False, download=True)


def _photographs(size: int) -> list[Transform]:
    return [data.random_crop(max(1, size // 8)), data.random_flip()]


Shape = tuple[int, int, int]  # (C, H, W)
_SETS: dict[str, tuple[Shape, Callable[[], Pictures]]] = {
    "mnist-mini": ((1, 28, 28), _mnist_mini),
    "mnist": ((1, 28, 28), lambda: _like_mnist(data.MNIST, data.random_crop(1))),
    "fashion-mnist": ((1, 28, 28), lambda: _like_mnist(data.FashionMNIST, data.random_crop(1), data.random_flip())),
    "cifar10": ((3, 32, 32), _cifar10),
}
NAMES = tuple(_SETS)


def shape_of(name: str, wanted: Input, image_size: int) -> Shape:
    """Of the images of a data set. Those from a folder are as the network wants them, image_size if it takes any."""
    if name in _SETS:
        return _SETS[name][0]
    if not os.path.isdir(name):
        raise WrongArgument("--data", f"{name!r} is no folder, and none of {', '.join(NAMES)}")
    size = wanted.size or image_size
    return wanted.channels, size, size


def load(name: str, shape: Shape) -> Pictures:
    """The data set of that name, or of that folder."""
    if name in _SETS:
        return _SETS[name][1]()
    from nn.cli.pictures import read_folder

    train, test = read_folder(name, *shape[:2])
    return Pictures(train, test, train.classes, _photographs(shape[1]), [data.normalize(0.5, 0.25)])


def is_ink(name: str) -> bool:
    """Whether the images of a data set are bright ink on a dark ground."""
    return "mnist" in name and name in _SETS


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
