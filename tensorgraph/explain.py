"""Explanation: the backward pass of a recorded computation as a worked example; tg.explain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tensorgraph._context import located
from tensorgraph.graph import graph
from tensorgraph.tensor import Tensor

if TYPE_CHECKING:
    from os import PathLike

    from tensorgraph._snapshot import GraphNode


class Explanation:
    """The forward and the backward pass, gate by gate, with every rule and its numbers; made by `tg.explain`.

    `print` shows it; `to_markdown`, `to_latex` and `save` make documents of it. A notebook shows it by itself.
    """

    __slots__ = ("_digits", "_lr", "nodes")

    nodes: tuple[GraphNode, ...]

    def __init__(self, nodes: tuple[GraphNode, ...], lr: float | None, digits: int) -> None:
        self.nodes = nodes
        self._lr = lr
        self._digits = digits

    def __str__(self) -> str:
        from tensorgraph.drawing.lesson import lesson
        from tensorgraph.drawing.plain import as_text

        return as_text(lesson(self.nodes, self._lr), self._digits)

    def to_markdown(self) -> str:
        """Markdown: a heading for each part, equations in blocks of code."""
        from tensorgraph.drawing.lesson import lesson
        from tensorgraph.drawing.plain import as_markdown

        return as_markdown(lesson(self.nodes, self._lr), self._digits)

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def to_latex(self) -> str:
        """A LaTeX document, for pdflatex."""
        from tensorgraph.drawing.latex import as_latex
        from tensorgraph.drawing.lesson import lesson

        return as_latex(lesson(self.nodes, self._lr), self._digits)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a file, in the format that the suffix says: .txt, .md, .tex or .html.

        HTML is the live page of the graph, which steps through the same gates.

        Raises:
            ValueError: another suffix. OSError: it cannot be written.
        """
        from tensorgraph.drawing.files import check, write

        formats = {".txt": self.__str__, ".md": self.to_markdown, ".tex": self.to_latex, ".html": self._page}
        target, suffix = check(path, "explain", formats)
        write(target, formats[suffix]().encode())

    def _page(self) -> str:
        from tensorgraph.drawing.page import page  # type: ignore[import-not-found,unused-ignore]

        return page(self.nodes)

    def __repr__(self) -> str:
        return f"<Explanation of {self.nodes[-1].op!r}, {len(self.nodes)} nodes; print() shows it>"


def explain(output: Any, *, lr: float | None = None, digits: int = 6) -> Explanation:
    """The backward pass as a worked example: every gate's rule with its numbers, upstream * local = downstream.

    It changes no `.grad` and frees nothing, as `tg.graph`. Arrays of more than 36 elements are shown as their shapes.

    Arguments:
        output: a tensor that requires a gradient, such as a loss. Of one that is not a scalar, the gradients are those
            of its sum.
        lr: a learning rate; with it the parameters after one step of gradient descent, w - lr dL/dw, are shown too.
        digits: how many digits to show after the point, and after the zeros that follow it.

    Returns:
        An `Explanation`: print it, or save it as .txt, .md, .tex or .html.

    Raises:
        GradError: nothing was recorded, or an earlier backward pass has freed the graph. TypeError: not a tensor.
        ValueError: lr is not a positive number, digits are not 1 to 15.

    Example:
        >>> import tensorgraph as tg
        >>> w = tg.tensor(3.0, requires_grad=True, name="w")
        >>> print(tg.explain(w * 2.0, lr=0.5))
        What goes in
        ============
        parameter  w = 3
        <BLANKLINE>
        Forward pass
        ============
        mul  L = w * 2 = 3 * 2 = 6
        <BLANKLINE>
        Backward pass: upstream * local = downstream
        ============================================
        It starts with dL/dL = 1.
        <BLANKLINE>
        1. L: mul
           swaps: every input gets the upstream gradient times the other input
             dL/dw = dL/dL * 2 = 1 * 2 = 2
        <BLANKLINE>
        <BLANKLINE>
        Gradients
        =========
        parameter  dL/dw = 2
        <BLANKLINE>
        Gradient descent, learning rate 0.5
        ===================================
        Every parameter takes one step against its gradient.
        <BLANKLINE>
        parameter  w+ = w - 0.5 * dL/dw = 3 - 0.5 * 2 = 2
        <BLANKLINE>

    Source: course, section 1 and worked examples W1 to W6.
    """
    if not isinstance(output, Tensor):
        raise located(TypeError, "explain", f"output must be a tensor, got {type(output).__name__}")
    if lr is not None:
        lr = _learning_rate(lr)
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= 15:
        raise located(ValueError, "explain", f"digits must be a whole number from 1 to 15, got {digits!r}")
    return Explanation(graph(output).nodes, lr, digits)


def _learning_rate(lr: Any) -> float:
    try:
        rate = float(lr)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0 < rate < math.inf:
        raise located(ValueError, "explain", f"lr must be a positive number, got {lr!r}")
    return rate
