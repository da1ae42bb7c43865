"""What each gate of a graph does, in words and in equations with its numbers filled in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph._primitive import GATES
from tensorgraph.drawing.digits import number
from tensorgraph.drawing.equations import Equation, Operand, Symbol
from tensorgraph.drawing.formulas import FORMULAS, Case, Formula, Template, sum_back
from tensorgraph.drawing.worked import element

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode

_USES = 8  # so many gradients are written out where a value is used several times
_NO_FORMULA = Formula("", {})


@dataclass(frozen=True, eq=False, slots=True)
class Rule:
    """One gate: `str(equation)` is an equation as text."""

    words: str  # what it does with the upstream gradient
    forward: Equation | None  # what it computes; None for copy gates
    backward: tuple[Equation, ...]  # what it sends back: upstream times local is downstream


class Rules:
    """The rules of a graph's nodes.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor(3.0, requires_grad=True, name="x")
        >>> graph = tg.graph(tg.log(x * 2.0))
        >>> rule = Rules(graph.nodes).of(graph.nodes[2])
        >>> print(rule.words, rule.forward, *rule.backward, sep="\\n")
        swaps: every input gets the upstream gradient times the other input
        #2 = x * 2 = 3 * 2 = 6
        dL/dx = dL/d#2 * 2 = 0.166667 * 2 = 0.333333
    """

    def __init__(self, nodes: tuple[GraphNode, ...]) -> None:
        self.nodes = nodes
        self.names = _names(nodes)  # what each value is called
        self._uses: dict[int, list[tuple[GraphNode, int]]] = {}  # of a copy gate: who uses it, as which argument
        for node in nodes:
            for i, given in enumerate(node.inputs):
                if is_copy_gate(nodes[given]):
                    self._uses.setdefault(given, []).append((node, i))

    def symbol(self, node: GraphNode) -> Symbol:
        """The name of its value."""
        return Symbol(self.names[node.id])

    def gradient(self, node: GraphNode) -> Symbol:
        """The name of its gradient."""
        return Symbol(self.names[node.id], of=self.names[-1])

    def of(self, node: GraphNode) -> Rule:
        """The rule of a gate."""
        if node.gate is None:
            raise ValueError(f"{node!r} is a value that went in and has no rule")
        if node.value is None:  # the call in which an error was raised
            return Rule(str(node.error), None, ())
        if is_copy_gate(node):
            return Rule(GATES["copy"], None, tuple(self._summed(node)))
        case, formula = self._case(node), FORMULAS.get(node.op, _NO_FORMULA)
        operands = {name: Operand(self.symbol(self.nodes[i]), self.nodes[i].value) for name, i in _inputs(node)}
        template = _made(formula.forward, case) or _call(node)
        forward = Equation(self.symbol(node), template, operands | case.extra, node.value)
        words = _made(formula.words, case) if formula.words else GATES[node.gate]
        words = node.error or words
        if node.grad is None:
            return Rule(words, forward, ())
        operands |= {"out": Operand(self.symbol(node), node.value), "g": Operand(self.gradient(node), node.grad)}
        return Rule(words, forward, tuple(self._sent(node, case, formula, operands)))

    def _case(self, node: GraphNode) -> Case:
        arrays = {name: self.nodes[i].value for name, i in _inputs(node)}
        constants = frozenset(name for name, i in _inputs(node) if self.nodes[i].op == "constant")
        sent = zip(node.arguments, node.downstream, strict=True)
        wanted = frozenset(name for name, downstream in sent if downstream is not None)
        return Case(arrays, node.value, node.options, constants, wanted, partial(_local, node, arrays))

    def _sent(self, node: GraphNode, case: Case, formula: Formula, operands: dict[str, Operand]) -> Iterator[Equation]:
        """What a gate sends back to each input that has a gradient."""
        for i, (name, downstream) in enumerate(zip(node.arguments, node.downstream, strict=True)):
            if downstream is None:
                continue
            elementwise = node.primitive is not None and node.primitive.elementwise
            template = _made(formula.gradients.get(name, ""), case)
            if not template and elementwise:
                op = _literal(node.op)
                symbol = f"d{op}/d{name}" if len(node.arguments) > 1 else f"{op}'({{{name}}})"
                case.extra[f"local_{i}"] = Operand(symbol, np.asarray(case.local(name)))
                template = f"{{g}} * {{local_{i}}}"
            template = template or f"{_literal(node.op)}_back({{g}})"
            if elementwise:
                template = sum_back(template, case.out.shape, downstream.shape)
            equation = Equation(self._part(node, i), template, operands | case.extra, downstream)
            yield equation
            if worked := element(node, case.arrays, name, equation):
                yield worked

    def _part(self, node: GraphNode, i: int) -> Symbol:
        """The gradient that a gate sends to its i-th input: a part of it, if the input has other uses."""
        given = self.nodes[node.inputs[i]]
        whole = self.gradient(given)
        if not is_copy_gate(given):
            return whole
        via = self.names[node.id]
        if node.inputs.count(given.id) > 1:
            via += f".{node.arguments[i]}"
        return whole._replace(via=via)

    def _summed(self, copy: GraphNode) -> Iterator[Equation]:
        """The gradient of a value that is used several times, as a sum."""
        parts = [(self._part(node, i), node.downstream[i]) for node, i in self._uses.get(copy.id, ())]
        parts = [(symbol, part) for symbol, part in parts if part is not None]
        if copy.grad is None or not parts:
            return
        operands = {str(i): Operand(symbol, part) for i, (symbol, part) in enumerate(parts)}
        shown = [f"{{{i}}}" for i in range(len(parts))]
        if len(shown) > _USES:
            shown[_USES - 1 : -1] = ["..."]
        yield Equation(self.gradient(copy), " + ".join(shown), operands, copy.grad)


def is_copy_gate(node: GraphNode) -> bool:
    """Whether it stands for a value that is used several times, and for no operation."""
    return node.gate == "copy" and node.primitive is None


def is_number(node: GraphNode) -> bool:
    """Whether it is a number of the program, which is its own name."""
    return node.op == "constant" and node.shape == ()


def _inputs(node: GraphNode) -> Iterator[tuple[str, int]]:
    return zip(node.arguments, node.inputs, strict=True)


def _made(template: Template, case: Case) -> str:
    return template(case) if callable(template) else template


def _call(node: GraphNode) -> str:
    """An operation without a formula as a call: name(x, y, axis=0)."""
    given = [f"{{{name}}}" for name in node.arguments]
    given += [f"{name}={_literal(repr(value))}" for name, value in node.options.items() if not callable(value)]
    return f"{_literal(node.op)}({', '.join(given)})"


def _literal(text: str) -> str:
    """Text that stands for itself in a template."""
    return cleaned(" ".join(text.split()), longest=40).replace("{", "{{").replace("}", "}}")


def _local(node: GraphNode, arrays: dict[str, Any], name: str) -> Any:
    """What the operation's own rule makes of an upstream gradient of ones: for element-wise ones, the derivative."""
    primitive: Any = node.primitive
    i = 0 if primitive.variadic else primitive.arguments.index(name)
    given = [arrays[n] for n in node.arguments] if primitive.variadic else [arrays.get(n) for n in primitive.arguments]
    position = (node.arguments.index(name),) if primitive.variadic else ()
    with np.errstate(all="ignore"):
        return primitive.rules[i](*position, np.ones_like(node.value), node.value, *given, **node.options, **node.saved)


def _names(nodes: tuple[GraphNode, ...]) -> list[str]:
    """A name for each value: the user's, a constant's number, else # and the number of the node."""
    names: list[str] = []
    own = [cleaned((node.name or "").strip()) for node in nodes]
    given = Counter(name for name in own if name)
    for node, name in zip(nodes, own, strict=True):
        if is_copy_gate(node):
            names.append(names[node.inputs[0]])
        elif name:
            names.append(name if given[name] == 1 else f"{name}#{node.id}")
        elif is_number(node):
            names.append(number(node.value))
        else:
            names.append(f"#{node.id}")
    if not own[-1] and "L" not in given:
        names[-1] = "L"
    return names


def cleaned(text: str, longest: int = 60) -> str:
    """Text in one line, of bounded length."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
