"""The pictures that the commands draw."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.cli.failure import WrongArgument
from nn.conv import Conv2d
from nn.module import Module
from nn.training import History


def check_folder(folder: str) -> None:
    """Make the folder for the pictures, if there is something to draw them with: before the work, not after it."""
    try:
        import matplotlib  # noqa: F401 (only whether it is there)
    except ImportError:
        raise WrongArgument("--pictures", "needs Matplotlib: pip install matplotlib") from None
    os.makedirs(folder, exist_ok=True)


def draw_history(folder: str, history: History) -> list[str]:
    """The curves of a training; returns the files."""
    return [_saved(folder, "curves", history.plot())]


def draw_answers(folder: str, matrix: Any, test: Any, logits: Any, classes: tuple[str, ...]) -> list[str]:
    """What was taken for what, and the surest mistakes; returns the files."""
    from nn import pictures

    images, labels = test if isinstance(test, tuple) else test[:]
    shares = tg.softmax(np.asarray(logits), axis=1)
    return [
        _saved(folder, "confusion", pictures.confusion_matrix(matrix, classes)),
        _saved(folder, "mistakes", pictures.mistakes(images, labels, shares, classes)),
    ]


def draw_filters(folder: str, model: Module) -> list[str]:
    """The filters of the first convolution, if there is one; returns the files."""
    from nn import pictures

    return [_saved(folder, "filters", pictures.filters(model))] if _has_convolutions(model) else []


def draw_sight(folder: str, name: str, model: Module, image: Any, label: int) -> list[str]:
    """Where a network looks that takes an image (C, H, W) for `label`, and its feature maps; returns the files."""
    from nn import pictures

    drawn = [_saved(folder, f"{name}-saliency", pictures.saliency(model, image, label))]
    if _has_convolutions(model):
        drawn.append(_saved(folder, f"{name}-maps", pictures.feature_maps(model, image)))
    return drawn


def _has_convolutions(model: Module) -> bool:
    return any(isinstance(layer, Conv2d) for _, layer in model.named_modules())


def _saved(folder: str, name: str, figure: Any) -> str:
    path = os.path.join(folder, f"{name}.png")
    figure.savefig(path)
    return path
