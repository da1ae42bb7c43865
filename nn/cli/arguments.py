"""What may be written on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from nn.cli.datasets import NAMES
from nn.cli.networks import NETWORKS
from nn.cli.recipe import OPTIMIZERS, SCHEDULES

PARTS: dict[str, Any] = {"model": "numpy_cnn", "data": "mnist-mini", "image_size": None}  # what a network is made for
RECIPE: dict[str, Any] = {
    "epochs": 8,
    "batch_size": 32,
    "optimizer": "adam",
    "lr": None,
    "schedule": "cosine",
    "weight_decay": 0.0,
    "augment": True,
    "seed": 0,
}  # how it is trained

_TRAIN = """\
Without any options a small convolutional network learns the 5,000 handwritten digits that come with the library, in
about ten seconds, and is tested on 1,000 others.

After each epoch, and at Ctrl-C, the whole state of the training is saved beside the weights, in
NAME.checkpoint.safetensors; --resume goes on from there as if nothing had happened. The file is deleted when the
training is done.
"""
_EXAMPLES = """\
examples:
  python -m nn train
  python -m nn train --model lenet5 --data mnist --epochs 12 --out lenet.safetensors
  python -m nn train --model resnet20 --data cifar10 --optimizer sgd --lr 0.1 --weight-decay 0.0005 --epochs 30
  python -m nn evaluate lenet.safetensors --model lenet5 --data mnist
  python -m nn predict image.png --weights lenet.safetensors --model lenet5 --data mnist --pictures seen
"""


class Parser(argparse.ArgumentParser):
    """One whose namespaces have only what was written, and whose help has paragraphs."""

    def __init__(self, **options: Any) -> None:
        options |= {"argument_default": argparse.SUPPRESS, "formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(**options, allow_abbrev=False)


def parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and those of the commands."""
    top = Parser(prog="python -m nn", description="Train networks, evaluate them, use them.", epilog=_EXAMPLES)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    train = commands.add_parser("train", help="train a network and save its weights", description=_TRAIN)
    evaluate = commands.add_parser("evaluate", help="test a trained network", description="Test a trained network.")
    predict = commands.add_parser("predict", help="let a trained network look at pictures", description=_PREDICT)
    _add_parts(train)
    _add_recipe(train)
    evaluate.add_argument(
        "weights",
        help="the file with the weights, .npz and .pth too; or a checkpoint, which knows the network and the data",
    )
    predict.add_argument("images", nargs="+", metavar="image", help="a file with a picture, such as image.png")
    predict.add_argument("--weights", required=True, metavar="FILE", help=_WEIGHTS)
    evaluate.add_argument("--pictures", metavar="FOLDER", help="draw there what was taken for what, and the mistakes")
    predict.add_argument(
        "--pictures",
        metavar="FOLDER",
        help="draw there the filters of the first convolution, and for each picture where the network looks, and what "
        "its convolutions make of it",
    )
    for command in (evaluate, predict):
        _add_parts(command)
        command.add_argument("--threads", type=number(1), metavar="N", help="how many threads compute")
    return top, {"train": train, "evaluate": evaluate, "predict": predict}


_WEIGHTS = "the file with the weights, .npz and .pth too; or a checkpoint, which knows its network and its data"
_PREDICT = """\
Say what a trained network takes pictures for, with the probabilities of the three most likely classes. A picture is
brought to the size of the network's images. Digits on paper, dark on bright, are inverted, cut out and centred as those
of MNIST are. What is no picture is told and left out, and the exit status is 1 then.
"""


def _add_parts(command: Parser) -> None:
    sets, networks = ", ".join(NAMES), ", ".join(NETWORKS)
    command.add_argument("--model", choices=NETWORKS, metavar="NAME", help=f"the network: {networks} (numpy_cnn)")
    command.add_argument(
        "--data",
        metavar="NAME",
        help=f"{sets}; or a folder with a folder of pictures for each class, or with train and test folders of such "
        "(mnist-mini). What is not here is fetched; TENSORGRAPH_DATA names another place to look",
    )
    command.add_argument(
        "--image-size",
        type=number(8),
        metavar="N",
        help="of pictures from a folder, if the network takes any size (64)",
    )


def _add_recipe(train: Parser) -> None:
    rates = ", ".join(f"{rate:g} with {name}" for name, (_, rate, _) in OPTIMIZERS.items())
    train.add_argument("--epochs", type=number(1), metavar="N", help="how often to go through the images, in all (8)")
    train.add_argument("--batch-size", type=number(1), metavar="N", help="images in a step (32)")
    train.add_argument("--optimizer", choices=OPTIMIZERS, metavar="NAME", help=f"{', '.join(OPTIMIZERS)} (adam)")
    train.add_argument("--lr", type=real(above=0), metavar="RATE", help=f"the learning rate ({rates})")
    train.add_argument(
        "--schedule", choices=SCHEDULES, metavar="NAME", help=f"of the learning rate: {', '.join(SCHEDULES)} (cosine)"
    )
    train.add_argument("--weight-decay", type=real(), metavar="RATE", help="the penalty on large weights (0)")
    train.add_argument(
        "--augment", action=argparse.BooleanOptionalAction, help="shift the images at random, mirror photographs (yes)"
    )
    train.add_argument("--seed", type=number(0), metavar="N", help="of the weights, the order and the shifts (0)")
    train.add_argument("--out", metavar="FILE", help="for the weights; nn.load reads it (NETWORK.safetensors)")
    train.add_argument(
        "--resume",
        metavar="FILE",
        help="go on from a checkpoint, with its options; only --epochs, how many in all, and what follows here may be "
        "given besides",
    )
    train.add_argument(
        "--log", metavar="FILE", help="figures by epoch: NAME.csv, NAME.jsonl, or a folder for TensorBoard"
    )
    train.add_argument("--pictures", metavar="FOLDER", help="draw the curves there")
    train.add_argument("--threads", type=number(1), metavar="N", help="how many threads compute")
    train.add_argument("--quiet", action="store_true", help="write nothing")


def written(settings: dict[str, Any]) -> list[str]:
    """The settings as they would stand on the command line."""
    words = []
    for name, value in settings.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-"))
        elif value is not None:
            words += [option, str(value)]
    return words


def number(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number of at least `least`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)

    return parse


def real(above: float | None = None) -> Callable[[str], float]:
    """The type of an argument that is a finite number of at least 0, or above another."""
    words = "of at least 0" if above is None else f"above {above:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (value >= 0 if above is None else value > above) or value == float("inf"):
            raise argparse.ArgumentTypeError(f"must be a number {words}, got {text!r}")
        return value

    return parse
