"""A picture as a file; its suffix says in which format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.drawing.view import View

SUFFIXES = (".svg", ".png", ".pdf", ".dot", ".html", ".txt")


_PAPER = {".png": "dpi=144", ".pdf": 'size="7.7,11.2"'}  # twice as fine as print on a screen; one page of A4 at most


def save(nodes: tuple[GraphNode, ...], path: str | os.PathLike[str], view: View) -> None:
    """Write the picture of a graph; an earlier file of that name is replaced whole, or not at all."""
    target = check(path)
    content = _content(nodes, os.path.splitext(target)[1].lower(), view)
    target = os.path.realpath(target)
    unfinished = f"{target}.{os.urandom(4).hex()}.tmp"
    try:
        with open(unfinished, "xb") as file:
            file.write(content)
        os.replace(unfinished, target)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise


def check(path: str | os.PathLike[str]) -> str:
    """The path as a string.

    Raises:
        TypeError: it is no path. ValueError: its suffix is not known. FileNotFoundError: its folder does not exist.
    """
    try:
        target = os.fspath(path)
    except TypeError:
        raise TypeError(f"draw: path must name a file, got {type(path).__name__}") from None
    if not isinstance(target, str):
        raise TypeError(f"draw: path must be a string, got {target!r}")
    suffix = os.path.splitext(target)[1].lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"draw: cannot write {target!r}: the name must end with one of {' '.join(SUFFIXES)}")
    folder = os.path.dirname(os.path.abspath(target))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"draw: cannot write {target!r}: there is no folder {folder}")
    return target


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
