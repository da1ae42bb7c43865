"""An equation of a worked example: a rule in symbols, then with its numbers (or the shapes of large arrays) filled in.

    dL/dw1 = dL/dz * x1 = 0.196612 * (-1) = -0.196612

The rule is a template, "{g} * {x}". What stands between its braces is read as

    + - * /       element by element;   @   the matrix product;   ^T   transposed
    ^  ^(...)     a power;              name(...)   a function
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, NamedTuple

from tensorgraph.drawing.digits import is_small, number, rows

WIDTH = 100  # of a line, in characters


class Symbol(NamedTuple):
    """A value's name, or the gradient of the output by that value."""

    name: str
    of: str | None = None  # the output's name, in a gradient
    via: str | None = None  # the gate that sends this part of the gradient

    def __str__(self) -> str:
        if self.of is None:
            return self.name
        part = "" if self.via is None else f" via {self.via}"
        return f"d{_joined(self.of)}/d{_joined(self.name)}{part}"


class Operand(NamedTuple):
    """What a template's {name} stands for."""

    symbol: Symbol | str | None  # a str is a template of its own, such as "[{x} > 0]"; None is a bare number
    value: Any


@dataclass(frozen=True, eq=False, slots=True)
class Equation:
    """left = the template in symbols = the template in numbers = result."""

    left: Symbol
    template: str
    operands: Mapping[str, Operand]
    result: Any

    def __str__(self) -> str:
        return "\n".join(self.lines())

    @property
    def is_small(self) -> bool:
        """Whether all its arrays are shown in full, and not as shapes."""
        used = [self.operands[name].value for _, name in pieces(self.template) if name is not None]
        return is_small(self.result) and all(map(is_small, used))

    @property
    def has_symbols(self) -> bool:
        """Whether its values have names to be shown."""
        return all(self.operands[name].symbol is not None for _, name in pieces(self.template) if name is not None)

    def lines(self, digits: int = 6, width: int = WIDTH) -> list[str]:
        """The equation as text; a part that would make it too wide starts a new line below the first `=`."""
        left = str(self.left)
        parts: list[list[str]] = []
        for part in self._parts(digits, width - len(left) - 3):
            if part != [left] and part not in parts:
                parts.append(part)
        done: list[str] = []
        block = [left]
        for part in parts:
            longer = beside(block, [" = "], part)
            if len(longer[0]) > width and block != [left]:
                done += block
                longer = beside([" " * len(left)], [" = "], part)
            block = longer
        return [line.rstrip() for line in done + block]

    def _parts(self, digits: int, room: int) -> Iterator[list[str]]:
        """The right-hand sides, each as a block of lines."""
        if self.template:
            yield from self._filled(digits, room)
        yield rows(self.result, digits) if self.is_small else [shape_or_number(self.result)]

    def _filled(self, digits: int, room: int) -> Iterator[list[str]]:
        """The template in symbols, and in numbers or, where those have no room, in shapes."""
        if self.has_symbols:
            yield ["".join(filled(self.template, self.symbol))]
        numbers = beside(*self.numbers(digits)) if self.is_small else None
        if numbers and len(numbers[0]) <= room:
            yield numbers
        else:
            yield ["".join(filled(self.template, lambda name: shape_or_number(self.operands[name].value)))]

    def symbol(self, name: str) -> str:
        """What a name in the template stands for, in symbols."""
        symbol = self.operands[name].symbol
        return "".join(filled(symbol, self.symbol)) if isinstance(symbol, str) else str(symbol)

    def numbers(self, digits: int) -> Iterator[list[str]]:
        """The template in numbers: blocks of lines, to be set side by side."""
        before = ""
        for text, name, after in neighbours(self.template):
            yield [text]
            before += text
            if name is not None:
                block = rows(self.operands[name].value, digits)
                yield [f"({block[0]})"] if in_parentheses(block[0], before, after) else block
                before += name


def shape_or_number(array: Any) -> str:
    return str(array.shape) if array.ndim else number(array)


def _joined(name: str) -> str:
    """A name that can follow a d."""
    return name if re.fullmatch(r"[\w#']+(\[[\d, ]+\])?", name) else f"({name})"


# --- templates --------------------------------------------------------------------------------------------------------


def pieces(template: str) -> Iterator[tuple[str, str | None]]:
    """(text, the name in the braces that follow) for each piece of a template."""
    for text, name, _, _ in Formatter().parse(template):
        yield text, name


def neighbours(template: str) -> Iterator[tuple[str, str | None, str]]:
    """(text, name, the text that follows) for each piece of a template."""
    found = list(pieces(template))
    for (text, name), (after, _) in zip(found, [*found, ("", None)][1:], strict=True):
        yield text, name, after


def filled(template: str, fill: Callable[[str], str]) -> Iterator[str]:
    """The pieces of a template with every name replaced."""
    for text, name in pieces(template):
        yield text
        if name is not None:
            yield fill(name)


def in_parentheses(number: str, before: str, after: str) -> bool:
    """Whether it is a negative number after an operator, or one that is raised to a power."""
    before = before.rstrip()
    return number.startswith("-") and (after.startswith("^") or not (before == "" or before[-1] in "(,["))


def beside(*blocks: list[str]) -> list[str]:
    """Blocks of lines side by side; lower ones stand in the middle."""
    height = max(map(len, blocks))
    columns = []
    for block in blocks:
        above = (height - len(block)) // 2
        width = max(map(len, block))
        padded = [""] * above + block + [""] * (height - len(block) - above)
        columns.append([text.ljust(width) for text in padded])
    return ["".join(texts) for texts in zip(*columns, strict=True)]
