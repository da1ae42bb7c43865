"""A graph as a lesson: what goes in, the forward pass, the backward pass step by step, and what it comes to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tensorgraph.drawing.equations import Equation, Operand, Symbol
from tensorgraph.drawing.rules import Rules, cleaned, is_copy_gate, is_number

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode

MOST = 200  # items of a section that are shown; of more the first and the last ones


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """One thing in a section."""

    label: str
    equations: tuple[Equation, ...]
    words: str = ""  # of a step: what its gate does


@dataclass(frozen=True, eq=False, slots=True)
class Section:
    """A part of the lesson: a list of equations, or steps with a heading each."""

    title: str
    intro: str
    steps: bool
    first: tuple[Item, ...]
    hidden: int = 0  # so many items between the first and the last ones are not shown
    last: tuple[Item, ...] = ()


def lesson(nodes: tuple[GraphNode, ...], lr: float | None) -> Iterator[Section]:
    """The sections, in order; of a graph without gates only the first and the last ones."""
    rules = Rules(nodes)
    leaves = _leaves(rules)
    gates = [node for node in nodes if node.gate is not None]
    computing = [node for node in gates if not is_copy_gate(node)]
    yield _section("What goes in", "", leaves, lambda node: _leaf(rules, node))
    if gates:
        nameless = next((node.id for node in nodes if rules.names[node.id] == f"#{node.id}"), None)
        intro = "" if nameless is None else f"#{nameless} is the value of node {nameless}."
        yield _section("Forward pass", intro, computing, lambda node: _forward(rules, node))
        title = "Backward pass: upstream * local = downstream"
        steps = gates[::-1]
        yield _section(title, _start(rules), steps, lambda node: _backward(rules, node), steps=True)
    learned = [node for node in leaves if node.grad is not None]
    yield _section("Gradients", "", learned, lambda node: _gradient(rules, node))
    if lr is not None:
        parameters = [node for node in learned if node.op == "parameter"]
        title = f"Gradient descent, learning rate {lr:g}"
        intro = "Every parameter takes one step against its gradient."
        yield _section(title, intro, parameters, lambda node: _updated(rules, node, lr))


def _leaves(rules: Rules) -> list[GraphNode]:
    """What went in but single numbers, as it is used; w1, w2, w3 in the order of their numbers."""
    leaves = [node for node in rules.nodes if node.gate is None and not is_number(node)]
    families: dict[str, list[tuple[int, int]]] = {}
    for place, node in enumerate(leaves):
        if found := re.fullmatch(r"([^\d#]+)(\d{1,9})", rules.names[node.id]):
            families.setdefault(found[1], []).append((int(found[2]), place))
    ordered = list(leaves)
    for family in families.values():
        places = sorted(place for _, place in family)
        for place, (_, old) in zip(places, sorted(family), strict=True):
            ordered[place] = leaves[old]
    return ordered


def _section(
    title: str, intro: str, nodes: Sequence[GraphNode], item: Callable[[GraphNode], Item], steps: bool = False
) -> Section:
    if len(nodes) <= MOST:
        return Section(title, intro, steps, tuple(map(item, nodes)))
    first, last = nodes[: MOST // 2], nodes[-MOST // 2 :]
    return Section(title, intro, steps, tuple(map(item, first)), len(nodes) - MOST, tuple(map(item, last)))


def _leaf(rules: Rules, node: GraphNode) -> Item:
    return Item(node.op, (Equation(rules.symbol(node), "", {}, node.value),))


def _forward(rules: Rules, node: GraphNode) -> Item:
    forward = rules.of(node).forward
    return Item(cleaned(node.op), () if forward is None else (forward,))


def _start(rules: Rules) -> str:
    output = rules.nodes[-1]
    if output.shape == ():
        return f"It starts with {rules.gradient(output)} = 1."
    name = rules.names[-1]
    return f"{name} has several elements. The gradients are those of their sum: {rules.gradient(output)} is all ones."


def _backward(rules: Rules, node: GraphNode) -> Item:
    rule = rules.of(node)
    place = f", in {cleaned(node.scope)}" if node.scope else ""
    return Item(f"{rules.names[node.id]}: {cleaned(node.op)}{place}", rule.backward, rule.words)


def _gradient(rules: Rules, node: GraphNode) -> Item:
    return Item(node.op, (Equation(rules.gradient(node), "", {}, node.grad),))


def _updated(rules: Rules, node: GraphNode, lr: float) -> Item:
    rate = np.asarray(lr, node.dtype)
    operands = {
        "w": Operand(rules.symbol(node), node.value),
        "lr": Operand(Symbol(f"{lr:g}"), rate),
        "g": Operand(rules.gradient(node), node.grad),
    }
    new = np.asarray(node.value - rate * node.grad)
    return Item(node.op, (Equation(Symbol(f"{rules.names[node.id]}+"), "{w} - {lr} * {g}", operands, new),))
