"""The command line: `python -m nn train` trains a convolutional network on handwritten digits and saves it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from nn.serialization import save
from nn.training import Progress, train_mnist


def main(arguments: Sequence[str]) -> int:
    """Run the command with the arguments; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m nn", description="Networks on top of tensorgraph.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    train = commands.add_parser(
        "train",
        help="train a convolutional network on handwritten digits",
        description="Train a convolutional network on the 5,000 handwritten digits that come with the library, test it "
        "on 1,000 others and save its weights. Takes about a quarter of a minute.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    train.add_argument("--epochs", type=_number(1), default=8, help="how often to go through the training images")
    train.add_argument("--seed", type=_number(0), default=0, help="of the initial weights and the order of the images")
    train.add_argument("--out", default="mnist_cnn.safetensors", help="the file for the weights; nn.load reads it")
    options = parser.parse_args(arguments)
    folder = os.path.dirname(os.path.abspath(options.out))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):  # before the work, not after it
        train.error(f"argument --out: cannot write to the folder {folder}")
    if os.path.isdir(options.out):
        train.error(f"argument --out: {options.out} is a folder; name a file")
    try:
        return _train(options.epochs, options.seed, options.out)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; nothing was saved\n")
        return 130


def _number(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number of at least `least`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)

    return parse


def _train(epochs: int, seed: int, out: str) -> int:
    _say("Training a convolutional network (105,634 parameters) on 5,000 handwritten digits\n")
    model, accuracy = train_mnist(epochs, seed, _show)
    save(out, model.state_dict())
    _say(f"{accuracy:.1%} of the 1,000 test images are recognized\n")
    _say(f"weights saved to {os.path.abspath(out)}\n")
    return 0


def _show(progress: Progress) -> None:
    """One line an epoch; on a terminal it is there, and kept up to date, from the first batch on."""
    epoch, epochs, batch, batches, loss, accuracy, seconds = progress
    if accuracy is not None:
        line = f"epoch {epoch}/{epochs}  loss {loss:.4f}  test accuracy {accuracy:.1%}  {seconds:.0f} s"
    else:
        line = f"epoch {epoch}/{epochs}  loss {loss:.4f}  batch {batch}/{batches}"
    if sys.stdout.isatty():
        _say(f"\r{line:<70}" + ("\n" if accuracy is not None else ""))
    elif accuracy is not None:
        _say(line + "\n")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
