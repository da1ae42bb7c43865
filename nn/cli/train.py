"""`python -m nn train`."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from typing import Any

import tensorgraph as tg
from nn.cli import datasets, networks, recipe
from nn.cli.drawing import check_folder, draw_history
from nn.cli.failure import Failure, WrongArgument
from nn.data import DataLoader
from nn.serialization import save
from nn.training import Callback, Checkpoint, CSVLog, JSONLinesLog, TensorBoard, Trainer
from nn.training.progress import say


def run(
    settings: dict[str, Any], out: str, resume: str | None, log: str | None, drawings: str | None, quiet: bool
) -> int:
    """Train a network as the settings say and save its weights; returns the exit status.

    Arguments:
        settings: the options by name, none left out. out: the file for the weights. resume: a checkpoint to go on from.
        log: a file for the figures. drawings: a folder for pictures. quiet: write nothing.
    """
    tell = _silent if quiet else say
    if drawings is not None:
        check_folder(drawings)
    wanted = networks.wanted(settings["model"])
    pictures = datasets.known(settings["data"], wanted, settings["image_size"])
    fit, said = datasets.fitted(settings["data"], pictures.shape, wanted)
    model = networks.network(settings["model"], len(pictures.classes), settings["seed"])
    train, test = pictures.read()
    loader = DataLoader(
        train,
        settings["batch_size"],
        shuffle=True,
        rng=settings["seed"],
        transform=[*(pictures.augment if settings["augment"] else []), *pictures.normalize, *fit],
    )
    tests = DataLoader(test, 100, transform=[*pictures.normalize, *fit])
    optimizer = recipe.optimizer(settings["optimizer"], model, settings["lr"], settings["weight_decay"])
    schedule, every = recipe.schedule(settings["schedule"], optimizer, settings["epochs"], len(loader))
    saver = Checkpoint(checkpoint_of(out))
    trainer = Trainer(
        model,
        optimizer,
        networks.loss,
        schedule=schedule,
        schedule_every=every,
        callbacks=[*_logs(log), saver],
        seed=settings["seed"],
        show="quiet" if quiet else "auto",
    )
    if resume is not None:
        trainer.load(resume)
    noted = settings | {"log": None if log is None else os.path.abspath(log)}
    trainer.notes = {name: value for name, value in noted.items() if value is not None}
    parameters = sum(p.size for p in model.parameters())
    images = f"{datasets.size_of(train):,} images, tested on {datasets.size_of(test):,}"
    tell(f"Training {settings['model']} ({parameters:,} parameters) on {settings['data']}: {images}\n")
    for words in [*said, *_slow()]:
        tell(f"{words}\n")
    try:
        history = trainer.fit(loader, tests, settings["epochs"])
    except KeyboardInterrupt as stop:
        return _stopped(stop, saver)
    except FloatingPointError as error:
        fault, _, _ = str(error).partition(" Likely: ")  # of the advice, most is for programs
        raise Failure(f"{fault} Likely: try a smaller --lr") from None
    save(out, model.state_dict())
    tell(f"{history['val_accuracy'][-1]:.1%} of the {datasets.size_of(test):,} test images are recognized\n")
    tell(f"weights saved to {os.path.abspath(out)}\n")
    for path in [] if drawings is None else draw_history(drawings, history):
        tell(f"drawn: {path}\n")
    if os.path.exists(saver.path):
        os.unlink(saver.path)
    return 0


def checkpoint_of(out: str) -> str:
    """The file beside the weights for the state of the training."""
    return f"{out.removesuffix('.safetensors')}.checkpoint.safetensors"


def _silent(text: str) -> None:
    pass


def _slow() -> list[str]:
    """What there is to say if the compiled kernels do not run."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints, too
        config = tg.show_config()
    if config["kernels"] == "native":
        return []
    return [f"the NumPy kernels run, many times slower than the compiled ones: {config['reason']}"]


def _stopped(stop: KeyboardInterrupt, saver: Checkpoint) -> int:
    """What is said after Ctrl-C."""
    if saver.saved_step is None:
        sys.stderr.write("\nstopped; nothing was saved\n")
    else:
        command = shlex.join(["python", "-m", "nn", "train", "--resume", saver.path])
        sys.stderr.write(f"\nstopped; step {saver.saved_step} is saved. To go on:\n{command}\n")
    return 130


def _logs(log: str | None) -> list[Callback]:
    if log is None:
        return []
    if log.endswith(".csv"):
        return [CSVLog(log)]
    if log.endswith(".jsonl"):
        return [JSONLinesLog(log)]
    try:
        return [TensorBoard(log)]
    except ImportError as error:
        raise WrongArgument("--log", str(error)) from None
