"""`python -m nn evaluate` and `python -m nn predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import tensorgraph as tg
from nn.cli import datasets, networks
from nn.cli.drawing import check_folder, draw_answers, draw_filters, draw_sight
from nn.cli.failure import Failure, tell
from nn.data import DataLoader
from nn.module import Module
from nn.optim import SGD
from nn.serialization import FileFormatError
from nn.training import Accuracy, ConfusionMatrix, Trainer
from nn.training.progress import say
from nn.weights import load_state_dict_file

_MOST = 3  # so many mistakes and classes are named


def evaluate(settings: dict[str, Any], weights: dict[str, Any] | str, drawings: str | None) -> int:
    """Test a network on the test images, and draw pictures into a folder if there is one; returns the exit status."""
    if drawings is not None:
        check_folder(drawings)
    model, pictures, fit = _ready(settings, weights)
    _, test = pictures.read()
    tests = DataLoader(test, 100, transform=[*pictures.normalize, *fit])
    metrics = [Accuracy(), ConfusionMatrix(len(pictures.classes))]
    trainer = Trainer(model, SGD(model.parameters(), lr=1.0), networks.loss, metrics=metrics)
    found = trainer.evaluate(tests)
    images = datasets.size_of(test)
    say(f"{found['accuracy']:.1%} of the {images:,} test images are recognized, the loss is {found['loss']:.4f}\n")
    for line in _mistakes(found["confusion_matrix"], pictures.classes):
        say(line + "\n")
    if drawings is not None:
        logits = trainer.predict(tests)
        for path in draw_answers(drawings, found["confusion_matrix"], test, logits, pictures.classes):
            say(f"drawn: {path}\n")
    return 0


def _mistakes(matrix: Any, classes: tuple[str, ...]) -> list[str]:
    """The most frequent mistakes in words."""
    wrong = matrix * (1 - np.eye(len(classes), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST]
    pairs = [np.unravel_index(int(place), wrong.shape) for place in order]
    return [f'"{classes[i]}" was taken for "{classes[j]}" {_times(int(wrong[i, j]))}' for i, j in pairs if wrong[i, j]]


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")


def predict(
    settings: dict[str, Any], weights: dict[str, Any] | str, images: list[str], drawings: str | None = None
) -> int:
    """Say what is on pictures, and draw how the network sees them into a folder if there is one.

    Returns the exit status: 1 if one of the pictures could not be read, which is told and left out.
    """
    from nn.cli.pictures import read_ink, read_picture

    if drawings is not None:
        check_folder(drawings)
    model, pictures, fit = _ready(settings, weights)
    channels, size, _ = pictures.shape
    model.eval()
    drawn = [] if drawings is None else draw_filters(drawings, model)
    status = 0
    for number, path in enumerate(images, 1):
        try:
            image, done = read_ink(path, size) if pictures.ink else (read_picture(path, channels, size), [])
        except Failure as failure:
            tell("predict", failure)
            status = 1
            continue
        x: Any = np.divide(image[None], np.float32(255), dtype=np.float32)
        for transform in (*pictures.normalize, *fit):
            x = transform(x)
        with tg.no_grad():
            shares = tg.softmax(model(x), axis=1).data[0]
        best = np.argsort(-shares, kind="stable")[:_MOST]
        answers = ", ".join(f"{pictures.classes[i]} ({shares[i]:.1%})" for i in best)
        say(f"{path}: {answers}{' - ' + ', '.join(done) if done else ''}\n")
        if drawings is not None:
            name = f"{number}-{Path(path).stem}"  # files of several folders may have the same name
            drawn += draw_sight(drawings, name, model, x[0], int(best[0]))
    for path in drawn:
        say(f"drawn: {path}\n")
    return status


def _ready(settings: dict[str, Any], weights: dict[str, Any] | str) -> tuple[Module, datasets.Pictures, list[Any]]:
    """The network with its weights, the data, and what makes their images those of the network."""
    wanted = networks.wanted(settings["model"])
    pictures = datasets.known(settings["data"], wanted, settings["image_size"])
    fit, _ = datasets.fitted(settings["data"], pictures.shape, wanted)
    model = networks.network(settings["model"], len(pictures.classes), 0)
    try:
        if isinstance(weights, str):
            load_state_dict_file(model, weights)
        else:
            model.load_state_dict(weights)
    except FileFormatError:
        raise
    except (TypeError, ValueError) as error:
        raise Failure(f"the weights are not those of {settings['model']}; --model names the network. {error}") from None
    return model, pictures, fit
