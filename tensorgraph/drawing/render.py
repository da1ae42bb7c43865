"""Graphviz: the program `dot` where there is one, otherwise the Graphviz that pygraphviz brings along."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

# In a process of its own: whatever happens in its C code, the program that draws goes on.
_PYGRAPHVIZ = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""


class GraphvizError(RuntimeError):
    """Graphviz failed."""


class GraphvizMissingError(GraphvizError):
    """There is no Graphviz."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"drawing .{kind} needs Graphviz: install its program dot (https://graphviz.org/download), or "
            '`pip install "pygraphviz>=2.0"`, which brings it along; .dot, .txt and .html need nothing'
        )


def render(dot: str, kind: str) -> bytes:
    """The picture that a DOT text describes, as "svg", "png" or "pdf"."""
    picture = _by_program(dot, kind)
    if picture is None:
        picture = _by_pygraphviz(dot, kind)
    if picture is None:
        raise GraphvizMissingError(kind)
    return picture


def _by_program(dot: str, kind: str) -> bytes | None:
    """With `dot` on the PATH; None if there is none."""
    try:
        import graphviz
    except ImportError:  # the files were not installed, only put on the path
        return None
    try:
        return graphviz.pipe("dot", kind, dot.encode(), quiet=True)
    except graphviz.ExecutableNotFound:
        return None
    except graphviz.CalledProcessError as error:
        raise GraphvizError(f"drawing .{kind}: dot failed: {_last_line(error.stderr)}") from None


def _by_pygraphviz(dot: str, kind: str) -> bytes | None:
    """With the Graphviz of pygraphviz; None if it is not installed, or of a version that brings none."""
    if importlib.util.find_spec("pygraphviz") is None:
        return None
    command = [sys.executable, "-c", _PYGRAPHVIZ, kind]
    done = subprocess.run(command, input=dot.encode(), capture_output=True, check=False)
    if done.returncode:
        raise GraphvizError(f"drawing .{kind}: pygraphviz failed: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(said: bytes) -> str:
    return (said.decode(errors="replace").strip().splitlines() or ["it gave no message"])[-1]
