"""A lesson as text for a terminal, and as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

from tensorgraph.drawing.equations import WIDTH
from tensorgraph.drawing.lesson import Item, Section


def as_text(sections: Iterable[Section], digits: int) -> str:
    """For a terminal, `WIDTH` characters wide."""
    return "\n\n".join("\n".join(_text(section, digits)).rstrip() for section in sections) + "\n"


def _text(section: Section, digits: int) -> Iterator[str]:
    yield section.title
    yield "=" * len(section.title)
    yield from textwrap.wrap(section.intro, WIDTH)
    if section.steps:
        yield ""
        for number, item in _numbered(section):
            if item is None:
                yield f"... {section.hidden:,} steps are not shown ..."
            else:
                yield f"{number}. {item.label}"
                yield from textwrap.wrap(item.words, WIDTH, initial_indent="   ", subsequent_indent="   ")
                yield from (f"     {line}".rstrip() for line in _equations(item, digits, WIDTH - 5))
            yield ""
    else:
        if section.intro:
            yield ""
        yield from _table(section, digits)


def as_markdown(sections: Iterable[Section], digits: int) -> str:
    """A heading for each section. Equations stand in blocks of code, which keep the rows of a matrix in place."""
    return "\n".join(line for section in sections for line in _markdown(section, digits))


def _markdown(section: Section, digits: int) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    if section.intro:
        yield _escaped(section.intro)
        yield ""
    if not section.steps:
        yield from _block(_table(section, digits))
        return
    for number, item in _numbered(section):
        if item is None:
            yield f"... {section.hidden:,} steps are not shown ..."
            yield ""
        else:
            yield f"**{number}.** {_code(item.label)} {_escaped(item.words)}."
            yield ""
            yield from _block(_equations(item, digits, WIDTH))


def _numbered(section: Section) -> Iterator[tuple[int, Item | None]]:
    """The steps with their numbers; None stands for those that are not shown."""
    yield from enumerate(section.first, 1)
    if section.hidden:
        yield 0, None
        yield from enumerate(section.last, len(section.first) + section.hidden + 1)


def _equations(item: Item, digits: int, width: int) -> Iterator[str]:
    """The lines of a step; an equation of several lines stands apart from its neighbours."""
    blocks = [equation.lines(digits, width) for equation in item.equations]
    for i, block in enumerate(blocks):
        if i and (len(block) > 1 or len(blocks[i - 1]) > 1):
            yield ""
        yield from block


def _table(section: Section, digits: int) -> Iterator[str]:
    """A line or more for each item, the labels in a column of their own."""
    width = max((len(item.label) for item in section.first + section.last), default=0)
    apart = False
    for number, item in _numbered(section):
        if item is None:
            yield f"... {section.hidden:,} are not shown ..."
            continue
        lines = list(_equations(item, digits, WIDTH - width - 2))
        named = next(i for i, line in enumerate(lines) if line[:1] != " ")  # a tall matrix reaches above its name
        if number > 1 and (apart or len(lines) > 1):
            yield ""
        apart = len(lines) > 1
        for i, line in enumerate(lines):
            yield f"{item.label if i == named else '':{width}}  {line}"


def _escaped(text: str) -> str:
    """Words in Markdown that stand for themselves, with the names in them."""
    return re.sub(r"([\\`*_{}\[\]<>#|!&])", r"\\\1", text)


def _code(text: str) -> str:
    """Text in Markdown that stands for itself."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if len(fence) > 1 else f"`{text}`"


def _block(lines: Iterable[str]) -> Iterator[str]:
    """Lines in a block of code, in a fence longer than any that they contain."""
    found = list(lines)
    fence = "`" * max([3, *(1 + len(run) for line in found for run in re.findall("`+", line))])
    yield from (f"{fence}text", *found, fence, "")
