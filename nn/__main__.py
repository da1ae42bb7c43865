"""The command line: `python -m nn train`, `evaluate`, `predict`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import tensorgraph as tg
from nn.cli import arguments, train
from nn.cli.failure import Failure, WrongArgument, tell
from nn.cli.use import evaluate, predict
from nn.serialization import FileFormatError, load
from nn.training.callbacks import check_writable
from nn.training.checkpoint import Position, read

_END = ".checkpoint.safetensors"
_FREE = ("epochs", "out", "resume", "log", "pictures", "quiet")  # what may be given besides --resume


def main(words: Sequence[str]) -> int:
    """Run the command with the arguments; returns the exit status."""
    parser, commands = arguments.parser()
    given = vars(parser.parse_args(words))
    name = given.pop("command")
    try:
        if threads := given.pop("threads", None):
            tg.set_num_threads(threads)
        if name == "train":
            return _train(given, parser)
        settings, weights = _trained(given, parser)
        if name == "predict":
            return predict(settings, weights, given["images"], given.get("pictures"))
        return evaluate(settings, weights, given.get("pictures"))
    except WrongArgument as wrong:
        commands[name].error(str(wrong))
    except (Failure, FileFormatError, OSError) as error:
        tell(name, error)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        return 130


def _train(given: dict[str, Any], parser: arguments.Parser) -> int:
    resume = given.get("resume")
    if resume is not None:
        if others := [name for name in given if name not in _FREE]:
            option = f"--{others[0].replace('_', '-')}"
            raise WrongArgument(option, "not with --resume: a training goes on with the options that it began with")
        state = read(resume)
        begun = Position.loaded(state["position"])
        least = begun.epochs_done + 1
        if given.get("epochs", least) < least:
            text = f"is how many in all, and {begun.said}; it must be at least {least}, got {given['epochs']}"
            raise WrongArgument("--epochs", text)
        given = _noted(state["notes"], parser) | given
        if resume.endswith(_END):
            given.setdefault("out", f"{resume.removesuffix(_END)}.safetensors")
    settings = {name: given.get(name, usual) for name, usual in (arguments.PARTS | arguments.RECIPE).items()}
    if os.path.isdir(settings["data"]):
        settings["data"] = os.path.abspath(settings["data"])  # a checkpoint may be gone on from elsewhere
    out = given.get("out", f"{settings['model']}.safetensors")
    try:
        check_writable(out)  # before the work, not after it
        check_writable(train.checkpoint_of(out))
    except OSError as error:
        raise WrongArgument("--out", str(error)) from None
    return train.run(settings, out, resume, given.get("log"), given.get("pictures"), given.get("quiet", False))


def _trained(given: dict[str, Any], parser: arguments.Parser) -> tuple[dict[str, Any], dict[str, Any] | str]:
    """The network and the data that weights belong to, and the weights, or their file: a checkpoint knows all of it."""
    weights: dict[str, Any] | str = given["weights"]
    with suppress(FileFormatError):  # a file of another program may be right; it is read when the network is known
        state = load(given["weights"])
        if "notes" in state and "position" in state:
            given = _noted(read(given["weights"])["notes"], parser) | given
            weights = state["model"]
    return {name: given.get(name, usual) for name, usual in arguments.PARTS.items()}, weights


def _noted(notes: dict[str, Any], parser: arguments.Parser) -> dict[str, Any]:
    """The options that are noted in a checkpoint, checked as if they had been written on the command line."""
    known = {name: value for name, value in notes.items() if name in (*arguments.PARTS, *arguments.RECIPE, "log")}
    noted = vars(parser.parse_args(["train", *arguments.written(known)]))
    del noted["command"]
    return noted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
