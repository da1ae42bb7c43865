"""Images, and what a network makes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import tensorgraph as tg
from nn._checks import count
from nn.conv import Conv2d
from nn.module import Module
from nn.pictures.figure import (
    GRADS,
    VALUES,
    Array,
    axes_grid,
    checked_image,
    say_colours,
    show_image,
    show_signed,
    values,
)
from nn.training.model_state import mode


def mistakes(
    images: Any, labels: Any, probabilities: Any, classes: Sequence[str] | None = None, *, most: int = 20
) -> Any:
    """The images about which a network is most sure and wrong: above each the right class, and what it was taken for.

    Arguments:
        images: (N, C, H, W) with 1 or 3 channels. labels: (N,), class numbers. probabilities: (N, K). classes: the
            names of the classes; numbers if None. most: how many images at most.

    Returns:
        A matplotlib Figure; its title says how many mistakes there are.

    Raises:
        ShapeError: the arrays do not fit each other. ImportError: matplotlib is not installed.

    Example:
        >>> import nn, numpy as np
        >>> sure = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
        >>> figure = nn.pictures.mistakes(np.zeros((3, 1, 2, 2)), [0, 1, 0], sure, ["cat", "dog"])
        >>> figure.axes[0].get_title()
        'cat taken for dog\\n70 % sure'
    """
    images, labels, probabilities = values(images), values(labels), values(probabilities)
    if images.ndim != 4 or labels.shape != images.shape[:1] or probabilities.shape[:1] != labels.shape:
        raise tg.ShapeError(
            f"mistakes: expected images (N, C, H, W), labels (N,) and probabilities (N, K), got shapes {images.shape}, "
            f"{labels.shape} and {probabilities.shape}"
        )
    answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != labels)
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][: count("mistakes", "most", most)]
    columns = min(5, max(1, len(shown)))
    made, axes = axes_grid(max(1, math.ceil(len(shown) / columns)), columns, 1.5, title=0.35, around=0.35)
    made.suptitle(f"{len(wrong):,} of {len(labels):,} wrong" + (", the surest first" if len(shown) else ""))
    for place, i in zip(axes, shown, strict=False):
        show_image(place, checked_image("mistakes", images[i]))
        right, taken = (str(k) if classes is None else classes[k] for k in (labels[i], answers[i]))
        share = f"{100 * sure[i]:.0f}" if sure[i] < 0.995 else "over 99"  # none is 100 % sure and wrong
        place.set_title(f"{right} taken for {taken}\n{share} % sure", fontsize=8)
    return made


def filters(model: Module) -> Any:
    """The filters of a model's first convolution: in colour if they see 3 channels, else in purple (below 0) and green.

    Of other numbers of channels the first one is shown.

    Returns:
        A matplotlib Figure.

    Raises:
        ValueError: the model has no Conv2d. ImportError: matplotlib is not installed.

    Example:
        >>> import nn
        >>> nn.pictures.filters(nn.models.lenet5()).get_suptitle()
        'layer features.0 (Conv2d): 6 filters of 5x5'
    """
    name, layer = _first_convolution("filters", model)
    weights = values(layer.weight)  # (F, C, KH, KW)
    columns = min(8, len(weights))
    in_colour = weights.shape[1] == 3
    made, axes = axes_grid(math.ceil(len(weights) / columns), columns, 0.9, around=0.35 if in_colour else 0.75)
    height, width = weights.shape[2:]
    made.suptitle(f"layer {name}: {len(weights)} filters of {height}x{width}")
    most = float(np.abs(weights).max()) or 1.0
    for place, weight in zip(axes, weights, strict=False):
        if in_colour:
            show_image(place, weight)
        else:
            show_signed(place, weight[0], most, VALUES)
    if not in_colour:
        say_colours(made, axes, "weight below 0", "above 0")
    return made


def feature_maps(model: Module, image: Any, *, most: int = 16) -> Any:
    """What each convolution of a model makes of an image: a row of maps a layer, the image before them.

    Arguments:
        model: is run in the mode for use. image: (C, H, W), as the model takes it. most: maps of a layer at most.

    Returns:
        A matplotlib Figure.

    Raises:
        ValueError: the model has no Conv2d that ran. ShapeError: it is no image. ImportError: matplotlib is not
            installed.

    Example:
        >>> import nn, numpy as np
        >>> figure = nn.pictures.feature_maps(nn.models.lenet5(), np.zeros((1, 32, 32), np.float32), most=4)
        >>> [axes.get_title("left") for axes in figure.axes[4:12:4]]
        ['layer features.0 (Conv2d): 6 maps of 28x28', 'layer features.3 (Conv2d): 16 maps of 10x10']
    """
    shown = checked_image("feature_maps", image)
    found = _maps(model, shown)
    if not found:
        raise ValueError(f"feature_maps: {type(model).__name__} ran no Conv2d")
    columns = min(count("feature_maps", "most", most), max(len(maps) for maps in found.values()))
    made, axes = axes_grid(len(found) + 1, columns, 0.9, title=0.25, around=0.4)
    show_image(axes[0], shown)
    axes[0].set_title("image", fontsize=8, loc="left")
    for row, (name, maps) in enumerate(found.items(), 1):
        places = axes[row * columns : (row + 1) * columns]
        places[0].set_title(
            f"layer {name}: {len(maps)} maps of {maps.shape[1]}x{maps.shape[2]}", fontsize=8, loc="left"
        )
        largest = float(np.abs(maps).max()) or 1.0
        for place, plane in zip(places, maps, strict=False):
            show_signed(place, plane, largest, VALUES)
    say_colours(made, axes, "map below 0", "above 0")
    return made


def saliency(model: Module, image: Any, label: int | None = None) -> Any:
    """Where a network looks: the gradient of a class's score with respect to the image, beside the image.

    Orange where a larger value would raise the score, blue where it would lower it; of several channels their sum.

    Arguments:
        model: gives logits (1, K); is run in the mode for use. image: (C, H, W), as the model takes it. label: the
            class; the one of the highest score if None.

    Returns:
        A matplotlib Figure.

    Raises:
        ShapeError: it is no image. ValueError: there is no such class. ImportError: matplotlib is not installed.

    Example:
        >>> import nn, numpy as np
        >>> figure = nn.pictures.saliency(nn.models.perceptron(), np.ones((1, 28, 28), np.float32), label=3)
        >>> figure.axes[1].get_title()
        'd score of 3 / d image'

    Source: Simonyan, Vedaldi, Zisserman, "Deep inside convolutional networks: visualising image classification models
    and saliency maps", 2014.
    """
    shown = checked_image("saliency", image)
    x = tg.tensor(shown[None].astype(np.float32), requires_grad=True)  # (1, C, H, W)
    with mode(model, training=False):
        scores = model(x)
    scores = scores[0] if isinstance(scores, tuple) else scores
    classes = scores.shape[1]
    label = int(scores.data.argmax()) if label is None else count("saliency", "label", label, least=0)
    if label >= classes:
        raise ValueError(f"saliency: label must be one of the {classes} classes, 0 to {classes - 1}, got {label}")
    (gradient,) = tg.gradients(scores[0, label], [x])
    plane = values(gradient)[0].sum(axis=0)  # (C, H, W) -> (H, W)
    made, (left, right) = axes_grid(1, 2, 2.4, title=0.35, around=0.4)
    show_image(left, shown)
    left.set_title("image")
    show_signed(right, plane, float(np.abs(plane).max()) or 1.0, GRADS)
    right.set_title(f"d score of {label} / d image")
    say_colours(made, [left, right], "a brighter pixel\nlowers the score", "a brighter pixel\nraises it")
    return made


def _first_convolution(owner: str, model: Module) -> tuple[str, Conv2d]:
    """The first Conv2d of a model, and its name."""
    for path, layer in model.named_modules():
        if isinstance(layer, Conv2d):
            kind = type(layer).__name__
            return f"{path} ({kind})" if path else kind, layer
    raise ValueError(f"{owner}: {type(model).__name__} has no Conv2d")


def _maps(model: Module, image: Array) -> dict[str, Array]:
    """What each convolution gives for an image: maps (C, H, W) by the layer's name, in the order in which they ran."""
    found: dict[str, Array] = {}

    def keep(node: Any) -> None:
        if node.op == "conv2d":
            found[str(node.scope)] = node.out[0]

    x = tg.tensor(image[None].astype(np.float32), requires_grad=True)  # else a frozen model would record nothing
    with mode(model, training=False), tg.hooks.watch(forward=keep):  # who watches sees every operation by itself
        model(x)
    return found
