"""A lesson as a LaTeX document that pdflatex compiles; it asks for amsmath, geometry and graphicx only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from tensorgraph.drawing.digits import matrices, number, rows
from tensorgraph.drawing.equations import Equation, Symbol, beside, in_parentheses, neighbours, shape_or_number
from tensorgraph.drawing.lesson import Item, Section

_WIDE = 85  # characters: the numbers of an equation and its result do not stand in one line

_HEAD = r"""\documentclass{article}
\usepackage[a4paper, margin=2cm]{geometry}
\usepackage{amsmath}
\usepackage{graphicx}
\newsavebox{\wide}
\newcommand{\fit}[1]{% an equation, made smaller if it is wider than the page
  \sbox{\wide}{$\displaystyle #1$}%
  \par\noindent\ifdim\wd\wide>\linewidth\resizebox{\linewidth}{!}{\usebox{\wide}}\else\usebox{\wide}\fi
  \par\medskip}
\setlength{\parindent}{0pt}
\begin{document}
"""


def as_latex(sections: Iterable[Section], digits: int) -> str:
    """The whole document."""
    lines = [line for section in sections for line in _section(section, digits)]
    return _HEAD + "\n".join(lines) + "\n\\end{document}\n"


def _section(section: Section, digits: int) -> Iterator[str]:
    yield rf"\section*{{{_prose(section.title)}}}"
    if section.intro:
        yield _prose(section.intro) + r"\par\medskip"
    yield from _items(section, section.first, 1, digits)
    if section.hidden:
        yield rf"\dots\ {section.hidden:,} are not shown \dots\par\medskip"
        yield from _items(section, section.last, len(section.first) + section.hidden + 1, digits)


def _items(section: Section, items: Iterable[Item], start: int, digits: int) -> Iterator[str]:
    for count, item in enumerate(items, start):
        if section.steps:
            words = f"{_prose(item.words)}.\\par\\nopagebreak\\smallskip"
            yield rf"\medskip\textbf{{{count}.\ {_prose(item.label)}}}\quad {words}"
        for equation in item.equations:
            label = "" if section.steps else rf"\text{{{escaped(item.label)}}}\quad "
            yield rf"\fit{{{label}{typeset(equation, digits)}}}"


# --- equations --------------------------------------------------------------------------------------------------------


def typeset(equation: Equation, digits: int = 6) -> str:
    """An equation in LaTeX's mathematics. Where there are matrices, their rule stands in a line of its own."""
    operands = equation.operands
    left = symbol(equation.left)

    def written(name: str, before: str, after: str) -> str:
        text = array(operands[name].value, digits)
        return rf"\left({text}\right)" if in_parentheses(text, before, after) else text

    values = written if equation.is_small else lambda name, *_: _shape(operands[name].value)
    arrays = frozenset(name for name, operand in operands.items() if operand.value.ndim)
    right = [
        _filled(equation.template, partial(_name, equation), arrays) if equation.has_symbols else "",
        _filled(equation.template, values, arrays),
        array(equation.result, digits) if equation.is_small else _shape(equation.result),
    ]
    parts = [part for part in dict.fromkeys(right) if part not in ("", left)]
    if len(parts) > 1 and r"\begin" in "".join(parts):
        lines = [parts[0], " = ".join(parts[1:])] if _width(equation, digits) < _WIDE else parts
        body = r" \\ &= ".join(lines)
        return rf"\begin{{aligned}}[t]{left} &= {body}\end{{aligned}}"
    return " = ".join([left, *parts])


def _width(equation: Equation, digits: int) -> int:
    """Of the numbers of an equation and its result, in characters."""
    if not equation.is_small:
        return 0
    return len(beside(*equation.numbers(digits), rows(equation.result, digits))[0])


def _name(equation: Equation, name: str, before: str, after: str) -> str:
    given = equation.operands[name].symbol
    if not isinstance(given, Symbol):
        return _filled(given or "", partial(_name, equation))
    return rf"\left({symbol(given)}\right)" if given.of and after.startswith("^") else symbol(given)


def symbol(given: Symbol) -> str:
    r"""A name, or a gradient: \frac{\partial L}{\partial w_{1}}."""
    if given.of is None:
        return identifier(given.name)
    gradient = rf"\frac{{\partial {identifier(given.of)}}}{{\partial {identifier(given.name)}}}"
    return gradient if given.via is None else rf"{gradient}\Big|_{{\text{{via }}{identifier(given.via)}}}"


def identifier(name: str) -> str:
    """w1 as w with the index 1, #12 as v with the index 12, new values with a plus; other names upright."""
    if found := re.fullmatch(r"(.+)(\[[\d, ]+\])", name):
        return identifier(found[1]) + found[2]
    if name.endswith("+"):
        return f"{identifier(name[:-1])}^{{+}}"
    if found := re.fullmatch(r"(#|[A-Za-z])_?(\d+)", name):
        return f"{found[1].replace('#', 'v')}_{{{found[2]}}}"
    if found := re.fullmatch(r"([A-Za-z])_(\w+)", name, re.ASCII):
        return rf"{found[1]}_{{\mathrm{{{escaped(found[2])}}}}}"
    if re.fullmatch("[A-Za-z]", name):
        return name
    return _number(name) if re.fullmatch(r"-?[\d.]+(e[-+]?\d+)?", name) else rf"\text{{{escaped(name)}}}"


def array(value: Any, digits: int = 6) -> str:
    """A number; a vector as (1, 2); a matrix in brackets, several side by side."""
    if not value.ndim:
        return _number(number(value, digits))
    if not value.size:
        return _shape(value)
    found = [[[_number(text) for text in row] for row in matrix] for matrix in matrices(value, digits)]
    if value.ndim == 1:
        return r"\left(" + r",\;".join(found[0][0]) + r"\right)"
    columns = "r" * len(found[0][0])
    bodies = [r" \\ ".join(" & ".join(row) for row in matrix) for matrix in found]
    return r"\;".join(rf"\left[\begin{{array}}{{{columns}}}{body}\end{{array}}\right]" for body in bodies)


def _number(text: str) -> str:
    r"""1.5e-7 as 1.5 \cdot 10^{-7}."""
    if not text[-1].isdigit():
        return text.replace("inf", r"\infty").replace("nan", r"\mathrm{NaN}")
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def _shape(value: Any) -> str:
    return rf"\text{{{shape_or_number(value)}}}"


# --- templates --------------------------------------------------------------------------------------------------------

_ELEMENTWISE = "\x01"  # the sign between two arrays that are multiplied element by element
_FIELD = 0xE000  # a private character stands for each name in braces while the text around them is translated


def _filled(template: str, fill: Callable[[str, str, str], str], arrays: frozenset[str] = frozenset()) -> str:
    """A template in LaTeX; `fill` gets a name, the text before it and the text after it."""
    fields: list[str] = []
    marked = before = ""
    last: str | None = None
    for text, name, after in neighbours(template):
        plain = re.sub(r"[^ -~]", "?", text)
        marked += plain.replace(" * ", f" {_ELEMENTWISE} ") if last in arrays and name in arrays else plain
        before += text
        last = name
        if name is not None:
            marked += chr(_FIELD + len(fields))
            fields.append(fill(name, before, after))
            before += name
    return re.sub("[\ue000-\uf8ff]", lambda mark: f"{{{fields[ord(mark[0]) - _FIELD]}}}", _translated(marked))


def _translated(text: str) -> str:
    """What stands around the names of a template."""
    text = re.sub(r"[#$%&{}]", r"\\\g<0>", text.replace("\\", r"\backslash ").replace("~", r"\sim "))
    text = re.sub(r"\^\(([^()]*)\)", r"^{\1}", text.replace("^T", r"^{\top}"))
    text = re.sub(r"\be(-?\d+)", r" \\cdot 10^{\1}", re.sub(r"(\d)x(?=\d)", r"\1 \\times ", text))
    text = text.replace("*", r"\cdot").replace(_ELEMENTWISE, r"\odot").replace(" @ ", r"\,").replace("...", r"\cdots")
    return _WORD.sub(_word, text).replace("(", r"\left(").replace(")", r"\right)").replace("'", r"\text{'}")


_WORD = re.compile(r"(?<![\\\w{])( ?)([A-Za-z]\w*'?)(?=(\()?)")


def _word(found: re.Match[str]) -> str:
    space, word, called = found.groups()
    return rf"{space}\operatorname{{{escaped(word)}}}" if called else rf"\text{{{space}{escaped(word)}}}"


_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "#$%&_{}"},
}


def _prose(text: str) -> str:
    """Words with the values' numbers, #12, as they stand in equations."""
    return re.sub(r"\\#(\d+)", r"$v_{\1}$", escaped(text)).replace(" * ", r" $\times$ ")


def escaped(text: str) -> str:
    """Text that stands in LaTeX for itself; what pdflatex cannot write is a question mark."""
    return "".join(_ESCAPES.get(character, character if character.isascii() else "?") for character in text)
