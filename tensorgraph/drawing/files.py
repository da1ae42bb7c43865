"""Pictures and explanations as files; the suffix says in which format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tensorgraph._snapshot import GraphNode
    from tensorgraph.drawing.view import View

SUFFIXES = (".svg", ".png", ".pdf", ".dot", ".html", ".txt")


_PAPER = {".png": "dpi=144", ".pdf": 'size="7.7,11.2"'}  # twice as fine as print on a screen; one page of A4 at most


def save(nodes: tuple[GraphNode, ...], path: str | os.PathLike[str], view: View) -> None:
    """Write the picture of a graph."""
    target, suffix = check(path)
    write(target, _content(nodes, suffix, view))


def check(path: str | os.PathLike[str], op: str = "draw", suffixes: Iterable[str] = SUFFIXES) -> tuple[str, str]:
    """The path as a string, and its suffix in small letters.

    Raises:
        TypeError: it is no path. ValueError: its suffix is not known. FileNotFoundError: its folder does not exist.
    """
    try:
        target = os.fspath(path)
    except TypeError:
        raise TypeError(f"{op}: path must name a file, got {type(path).__name__}") from None
    if not isinstance(target, str):
        raise TypeError(f"{op}: path must be a string, got {target!r}")
    suffix = os.path.splitext(target)[1].lower()
    if suffix not in suffixes:
        raise ValueError(f"{op}: cannot write {target!r}: the name must end with one of {' '.join(suffixes)}")
    folder = os.path.dirname(os.path.abspath(target))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{op}: cannot write {target!r}: there is no folder {folder}")
    return target, suffix


def write(path: str, content: bytes) -> None:
    """Write a file; an earlier one of that name is replaced whole, or not at all."""
    target = os.path.realpath(path)
    unfinished = f"{target}.{os.urandom(4).hex()}.tmp"
    try:
        with open(unfinished, "xb") as file:
            file.write(content)
        os.replace(unfinished, target)
    except BaseException as error:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        if isinstance(error, OSError) and error.errno is not None:  # of the file that was asked for
            raise OSError(error.errno, error.strerror, path) from None
        raise


def _content(nodes: tuple[GraphNode, ...], suffix: str, view: View) -> bytes:
    if suffix == ".txt":
        from tensorgraph.drawing.text import text

        return (text(nodes, view) + "\n").encode()
    if suffix == ".html":
        from tensorgraph.drawing.page import page

        return page(nodes).encode()
    from tensorgraph.drawing.dot import dot

    if suffix == ".dot":
        return dot(nodes, view).encode()
    from tensorgraph.drawing.render import render

    return render(dot(nodes, view, _PAPER.get(suffix, "")), suffix[1:])
