"""The command line: `python -m tensorgraph draw program.py -o picture.svg` draws what a program computes."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tensorgraph as tg
from tensorgraph.drawing.files import SUFFIXES, check
from tensorgraph.drawing.render import GraphvizError


class _Reached(BaseException):
    """The tensor to draw has been met: no error, and nothing that a program catches."""

    def __init__(self, graph: tg.Graph) -> None:
        self.graph = graph


def main(arguments: Sequence[str]) -> int:
    """Run the command with the arguments; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tensorgraph", description="Pictures of gradients.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    draw = commands.add_parser(
        "draw",
        help="draw what a program computes",
        description="Run a program and draw what it calls backward() on, with all values and gradients; there the "
        "program ends. If it never calls backward(), the last scalar among its global variables is drawn.",
    )
    draw.add_argument("program", help="a Python file; after -- follow its own arguments")
    draw.add_argument("-o", "--output", default="graph.svg", metavar="FILE", help=f"{' '.join(SUFFIXES)} (graph.svg)")
    which = draw.add_mutually_exclusive_group()
    which.add_argument(
        "--call", type=_number(1), default=1, metavar="N", help="draw at the N-th call of backward() (1)"
    )
    which.add_argument("--tensor", metavar="NAME", help="draw this global variable, when the program has ended")
    draw.add_argument("--depth", type=_number(0), metavar="N", help="open so many levels of layers (as many as fit)")
    draw.add_argument("--max-nodes", type=_number(2), metavar="N", default=60, help="show so many things at most (60)")
    draw.add_argument("--expand", action="append", default=[], metavar="NAME", help="show this layer or operation")
    end = [*arguments, "--"].index("--")
    own, passed = list(arguments[:end]), list(arguments[end + 1 :])
    options = parser.parse_args(own)
    if not os.path.isfile(options.program):
        draw.error(f"argument program: there is no file {options.program}")
    try:
        check(options.output)  # before the work, not after it
    except (OSError, ValueError) as error:
        draw.error(f"argument -o/--output: {error}")
    found = _run(options.program, passed, options.tensor, options.call)
    if isinstance(found, str):
        sys.stderr.write(f"{draw.prog}: {options.program} {found}\n")
        return 1
    try:
        found.save(options.output, depth=options.depth, max_nodes=options.max_nodes, expand=options.expand)
    except (GraphvizError, OSError, ValueError) as error:
        sys.stderr.write(f"{draw.prog}: {error}\n")
        return 1
    sys.stdout.write(f"{options.output}: {len(found)} nodes\n")
    return 0


def _number(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number of at least `least`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)

    return parse


def _run(program: str, arguments: list[str], name: str | None, call: int) -> tg.Graph | str:
    """Run a program as Python would; returns the graph to draw, or says in words why there is none.

    `Tensor.backward` is another function meanwhile. Where a global variable is wanted, it keeps the graph: there would
    be nothing left to draw.
    """
    backward = tg.Tensor.backward
    calls = 0

    def watched(tensor: tg.Tensor, gradient: Any = None, **options: Any) -> None:
        nonlocal calls
        calls += 1
        if name is None and calls == call:
            raise _Reached(tg.graph(tensor))
        backward(tensor, gradient, **options | {"retain_graph": name is not None or options.get("retain_graph", False)})

    before = sys.argv, sys.path[:]
    sys.argv = [program, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
    tg.Tensor.backward = watched  # type: ignore[method-assign, assignment]
    try:
        with tg.record():
            variables = runpy.run_path(program, run_name="__main__")
    except _Reached as reached:
        return reached.graph
    except SystemExit as end:
        if end.code:
            raise
        variables = {}
    finally:
        tg.Tensor.backward = backward  # type: ignore[method-assign]
        sys.argv, sys.path[:] = before
    return _global(variables, name, calls)


def _global(variables: dict[str, Any], name: str | None, calls: int) -> tg.Graph | str:
    """The graph of a global variable: of that name, or of the last scalar that was computed."""
    if name is not None:
        tensor = variables.get(name)
        if not isinstance(tensor, tg.Tensor):
            known = [key for key, value in variables.items() if isinstance(value, tg.Tensor)]
            some = f"its tensors are {', '.join(known)}" if known else "it has no tensors among its global variables"
            return f"ends without a tensor called {name!r}; {some}"
    elif calls:
        return f"calls backward() {calls} times only; name one of these calls with --call"
    else:
        computed = [value for value in variables.values() if isinstance(value, tg.Tensor) and not value.is_leaf]
        tensor = next((value for value in reversed(computed) if value.size == 1), None)
        if tensor is None:
            return "never calls backward(), and ends without a scalar to draw; name a tensor with --tensor"
    try:
        return tg.graph(tensor)
    except tg.GradError as error:
        return f"cannot be drawn: {error}"


def _until_nobody_reads(arguments: Sequence[str]) -> int:
    """`main`, which ends in silence when the other end of a pipe is closed, as `head` does."""
    try:
        status = main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest at its end
        return 1
    return status


if __name__ == "__main__":
    sys.exit(_until_nobody_reads(sys.argv[1:]))
