"""The pictures that the commands draw."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.cli.failure import WrongArgument
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


def _saved(folder: str, name: str, figure: Any) -> str:
    path = os.path.join(folder, f"{name}.png")
    figure.savefig(path)
    return path
