"""The networks of the command line, and what images they take."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nn import models
from nn.cli.failure import WrongArgument
from nn.loss import CrossEntropyLoss
from nn.module import Module


class Input(NamedTuple):
    """What images a network takes: so many channels, and a size in pixels, or any from `LEAST` on if it is None."""

    name: str
    channels: int
    size: int | None


LEAST = 32  # pixels, which is what five halvings leave one of
NETWORKS = [name for name in models.__all__ if name.islower()]
_GREY_28 = ("numpy_cnn", "student_mnist", "perceptron", "codelab_cnn", "keras_convnet", "lenet5")
_SIZES = {"student_cifar": 32, "alexnet": 227}
_TEN_CLASSES = ("numpy_cnn", "student_mnist", "student_cifar", "perceptron", "codelab_cnn", "keras_convnet")


def wanted(name: str) -> Input:
    """What images the network of that name takes."""
    return Input(name, 1, 28) if name in _GREY_28 else Input(name, 3, _SIZES.get(name))


def takers(shape: tuple[int, int, int]) -> str:
    """Which networks take images of that shape as they are, in words."""
    channels, size, _ = shape
    names = [each.name for each in map(wanted, NETWORKS) if each.channels == channels and each.size in (size, None)]
    return f"--model can be {', '.join(names)}"


def network(name: str, classes: int, seed: int) -> Module:
    """The network of that name for so many classes."""
    options: dict[str, Any] = {"rng": np.random.default_rng(seed)}
    if name == "lenet5":
        options["image_size"] = 28
    if name not in _TEN_CLASSES:
        options["num_classes"] = classes
    elif classes != 10:
        raise WrongArgument(
            "--model", f"{name} is for 10 classes, the data have {classes}; lenet5 and resnet20 take any"
        )
    made: Module = getattr(models, name)(**options)
    return made


_cross_entropy = CrossEntropyLoss()


def loss(outputs: Any, targets: Any) -> Any:
    """The cross entropy; in training GoogLeNet's auxiliary classifiers count with 0.3 each, as in its paper."""
    if not isinstance(outputs, tuple):
        return _cross_entropy(outputs, targets)
    main, *others = (_cross_entropy(logits, targets) for logits in outputs)
    return main + 0.3 * sum(others[1:], others[0])
