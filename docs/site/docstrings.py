"""A Sphinx extension: docstrings as reStructuredText.

The docstrings of this project are plain text under one template: paragraphs with `names` in single backticks and
equations in ASCII, lists, and sections. Only these are marked up here; everything else is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SECTION = re.compile(r"(Arguments|Attributes|Example|Raises|Returns|Yields):$")
LINE = re.compile(r"(Source|Parameters|Input|Output|Input and output|Arguments, (?:[a-z]+, )*errors): ")
NAMES = re.compile(r"(?:^|(?<=\. ))(\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*): ")  # "x: images. w, b: ..."
QUOTED = re.compile(r"`([^`]+)`")
SHORT = {"tg.": "tensorgraph."}  # as programs import it


def marked_up(docstring: list[str]) -> Iterator[str]:
    """The lines of a docstring, without common indentation, in reStructuredText."""
    for block in blocks(docstring):
        first = block[0]
        if section := SECTION.match(first):
            yield from field(section[1], block[1:])
        elif lead := LINE.match(first):
            yield f":{lead[1]}: \\ {inline(joined([first[lead.end() :], *block[1:]]))}"
        elif first.startswith("- "):
            yield f"- {inline(joined([first[2:], *block[1:]]))}"
        else:
            yield f"\\ {inline(joined(block))}"  # the empty word keeps "1. " and the like from being a list
        yield ""


def blocks(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs, items of lists, lines with a title of their own, and sections with all that is indented below."""
    block: list[str] = []
    in_section = False
    for line in lines:
        indented = line.startswith(" ")
        starts = bool(SECTION.match(line) or LINE.match(line) or line.startswith("- "))
        if block and (starts or (not line and not in_section) or (in_section and line and not indented)):
            yield block
            block, in_section = [], False
        if line or in_section:
            block.append(line)
        in_section = in_section or bool(SECTION.match(line))
    if block:
        yield block


def field(title: str, lines: list[str]) -> Iterator[str]:
    """A section: an example as code; of arguments and errors each entry an item; anything else as text."""
    body = [line[4:] for line in lines]
    while body and not body[-1]:
        body.pop()
    if title == "Example":
        yield ".. code-block:: pycon"
        yield ""
        yield from (f"   {line}" for line in body)
    elif title in ("Returns", "Yields"):
        yield f":{title}: \\ {inline(joined(body))}"
    else:
        yield f":{title}:"
        for entry in re.split(r"\n(?! )", "\n".join(body)):
            yield f"   - {inline(NAMES.sub(bold, joined(entry.splitlines())))}"


def joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())


def bold(names: re.Match[str]) -> str:
    return f"\0{names[1]}\0: "  # marked so that `inline` knows it; no docstring has that character


def inline(text: str) -> str:
    """A paragraph: quoted names as links where there is something to link to, or as code; the rest escaped."""
    pieces = []
    for i, piece in enumerate(QUOTED.split(text)):
        if i % 2 == 0:
            escaped = re.sub(r"([\\*_|`])", r"\\\1", piece)
            pieces.append(re.sub("\0(.+?)\0", r"**\1**", escaped))
        elif re.fullmatch(r"[A-Za-z_][\w.]*", piece):
            target = piece
            for short, full in SHORT.items():
                target = full + piece.removeprefix(short) if piece.startswith(short) else target
            pieces.append(f":py:obj:`{piece} <{target}>`")
        else:
            pieces.append(f"``{piece}``")
    return "\\ ".join(pieces)


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """What Sphinx calls for each docstring: it changes `lines` in place."""
    lines[:] = marked_up(list(lines))


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
