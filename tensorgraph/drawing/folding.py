"""What a picture shows: gates and values, layers folded to one box, equal layers in a row to one box with a count.

A picture is bounded. Where more than `max_nodes` things would be shown, layers are folded from the inside out, and
where that is not enough, what lies in the middle becomes one box that says how much it hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph.drawing.places import Layer, places

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.drawing.view import View

_SEPARATE = 4  # edges from one box to another that are drawn one by one


@dataclass(eq=False, slots=True)
class Box:
    """One thing in a picture: a node, a folded layer (or several in a row), or what the budget hides."""

    nodes: list[GraphNode]  # what it stands for
    place: Layer | None  # the open layer in which it stands
    layers: tuple[Layer, ...] = ()  # the folded layers

    @property
    def node(self) -> GraphNode | None:
        """The node, if it stands for one."""
        return self.nodes[0] if len(self.nodes) == 1 else None

    @property
    def key(self) -> str:
        """n3, or n3_7 for several nodes of which these are the first and the last."""
        first, last = self.nodes[0].id, self.nodes[-1].id
        return f"n{first}" if first == last else f"n{first}_{last}"


@dataclass(frozen=True, eq=False, slots=True)
class Edge:
    """A value on its way from one box to another, or several values that are not told apart."""

    source: Box
    target: Box | None  # None for the output of all
    value: GraphNode | None  # whose value it is; None for several
    grad: Any  # what comes back along this edge, None where nothing does
    count: int = 1


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """What is shown, in the order of computation."""

    boxes: list[Box]
    edges: list[Edge]
    total: int  # the nodes of the graph


def fold(nodes: tuple[GraphNode, ...], view: View) -> Picture:
    """Decide what of a graph is shown."""
    where = places(nodes)
    opened = _opened(nodes, where, view.expand)
    deepest = max((place.level + 1 for place in where if place), default=0)
    if view.depth is None:
        boxes = next(
            (
                few
                for depth in range(deepest, -1, -1)
                if len(few := _boxes(nodes, where, depth, opened)) <= view.max_nodes
            ),
            None,
        ) or _boxes(nodes, where, 0, opened)
    else:
        boxes = _boxes(nodes, where, view.depth, opened)
    if len(boxes) > view.max_nodes:
        boxes = _hide_middle(boxes, view.max_nodes)
    return Picture(boxes, _edges(nodes, boxes), len(nodes))


# --- layers ----------------------------------------------------------------------------------------------------------


def _boxes(nodes: tuple[GraphNode, ...], where: list[Layer | None], depth: int, opened: set[Layer]) -> list[Box]:
    """Open so many levels of layers; every layer below is one box."""
    folded: dict[Layer, Box] = {}
    boxes = []
    for node in nodes:
        place = where[node.id]
        layer = place and next((at for at in place.chain() if at.level >= depth and at not in opened), None)
        if layer is None:
            boxes.append(Box([node], place))
        elif layer in folded:
            folded[layer].nodes.append(node)
        else:
            folded[layer] = Box([node], layer.outer, (layer,))
            boxes.append(folded[layer])
    for box in boxes:
        if box.layers and box.node:  # a layer of one gate is that gate
            box.place, box.layers = box.layers[0], ()
    return _repeated(nodes, boxes)


def _opened(nodes: tuple[GraphNode, ...], where: list[Layer | None], names: Sequence[str]) -> set[Layer]:
    """The layers that must be open to show what has these names: a layer with all inside, an operation, a value."""
    opened: set[Layer] = set()
    met: set[str] = set()
    wanted = set(names)
    if not wanted:
        return opened
    for node in nodes:
        place = where[node.id]
        chain = place.chain() if place else []
        if own := wanted & {node.op, node.name}:
            opened.update(chain)
            met |= own
        for layer in chain:
            if own := wanted & {layer.label, layer.path, layer.kind}:
                opened.update(chain)
                met |= own
    if missing := [name for name in names if name not in met]:
        known = sorted(
            {layer.path for place in where if place for layer in place.chain()} | {node.op for node in nodes}
        )
        some = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        raise ValueError(f"draw: expand: no layer, operation or value is called {missing[0]!r}; there are {some}")
    return opened


# --- layers that repeat -----------------------------------------------------------------------------------------------


def _repeated(nodes: tuple[GraphNode, ...], boxes: list[Box]) -> list[Box]:
    """Join folded layers of the same structure of which each gives only to the next."""
    folded = [box for box in boxes if box.layers]
    if len(folded) < 2:
        return boxes
    owner = {node.id: box for box in boxes for node in box.nodes}
    gives: dict[Box, set[Box]] = {box: set() for box in boxes}
    takes: dict[Box, set[Box]] = {box: set() for box in boxes}
    for box in boxes:
        for node in box.nodes:
            for given in node.inputs:
                source = owner[given]
                if source is not box:
                    gives[source].add(box)
                    takes[box].add(source)
    into: dict[Box, Box] = {}  # a box -> the one that it becomes part of
    forms = {box: _form(box) for box in folded}
    for box in folded:
        before = next(iter(takes[box])) if len(takes[box]) == 1 else None
        if before and before in forms and gives[before] == {box}:
            same_kind = before.layers[-1].kind == box.layers[0].kind and before.place is box.place
            if same_kind and forms[before] == forms[box]:
                first = into.get(before, before)
                first.nodes = sorted(first.nodes + box.nodes, key=lambda node: node.id)
                first.layers += box.layers
                into[box] = first
    return [box for box in boxes if box not in into]


def _form(box: Box) -> tuple[Any, ...]:
    """The same for layers of the same structure: operations, shapes, options and what feeds what."""
    local = {node.id: i for i, node in enumerate(box.nodes)}
    return tuple((node.op, node.shape, tuple(local.get(given) for given in node.inputs)) for node in box.nodes)


# --- the budget ------------------------------------------------------------------------------------------------------


def _hide_middle(boxes: list[Box], most: int) -> list[Box]:
    """Keep what is next to the inputs and what is next to the output; one box stands for what is in between."""
    head = (most - 1) // 2
    tail = most - 1 - head
    between = [node for box in boxes[head : len(boxes) - tail] for node in box.nodes]
    return [*boxes[:head], Box(sorted(between, key=lambda node: node.id), None), *boxes[len(boxes) - tail :]]


# --- edges -----------------------------------------------------------------------------------------------------------


def _edges(nodes: tuple[GraphNode, ...], boxes: list[Box]) -> list[Edge]:
    """What flows between the boxes. A folded box gets each value once, with the sum of what it sends back."""
    owner = {node.id: box for box in boxes for node in box.nodes}
    edges: list[Edge] = []
    for box in boxes:
        arriving: dict[Box, list[Edge]] = {}
        merged: dict[int, int] = {}
        for node in box.nodes:
            for given, grad in zip(node.inputs, node.downstream or (None,) * len(node.inputs), strict=True):
                source = owner[given]
                if source is box:
                    continue
                group = arriving.setdefault(source, [])
                if box.node is None and given in merged:
                    group[merged[given]] = _added(group[merged[given]], grad)
                else:
                    merged[given] = len(group)
                    group.append(Edge(source, box, nodes[given], grad))
        for source, group in arriving.items():
            if len(group) > _SEPARATE:
                edges.append(Edge(source, box, None, None, len(group)))
            else:
                edges += group
    last = nodes[-1]
    edges.append(Edge(owner[last.id], None, last, last.grad))
    return edges


def _added(edge: Edge, grad: Any) -> Edge:
    if grad is None:
        return edge
    total = grad if edge.grad is None else np.add(edge.grad, grad)
    return Edge(edge.source, edge.target, edge.value, total)
