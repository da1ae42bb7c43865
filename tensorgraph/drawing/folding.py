"""What a picture shows: gates and values, layers folded to one box, equal layers in a row to one box with a count.

A picture is bounded. Where more than `max_nodes` things would be shown, layers are folded from the inside out, and
where that is not enough, what lies in the middle becomes one box that says how much it hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph.drawing.places import Layer, places

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.drawing.view import View

_TOO_FEW = 5  # boxes: the picture of a whole network in so few shows nothing
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


def fold(nodes: tuple[GraphNode, ...], view: View) -> Picture:
    """Decide what of a graph is shown."""
    where = places(nodes)
    opened = _opened(nodes, where, view.expand)
    if view.depth is not None:
        boxes = _joined(nodes, _boxes(nodes, where, view.depth, opened))
    else:
        boxes = _fitting(nodes, where, opened, view.max_nodes)
    if len(boxes) > view.max_nodes:
        boxes = _hide_middle(boxes, view.max_nodes)
    return Picture(boxes, _edges(nodes, boxes))


def _fitting(nodes: tuple[GraphNode, ...], where: list[Layer | None], opened: set[Layer], most: int) -> list[Box]:
    """Everything, if it fits; otherwise one of each row of equal layers, with as many levels open as fit."""
    deepest = max((place.level + 1 for place in where if place), default=0)
    boxes = _boxes(nodes, where, deepest, opened)
    if len(boxes) <= most:
        return boxes
    closed = _more_of_the_same(nodes, where, deepest)
    for depth in range(deepest, -1, -1):
        fewer = _joined(nodes, _boxes(nodes, where, depth, opened, closed))
        if len(fewer) < min(_TOO_FEW, most):  # the beginning and the end of a long row say more than one box
            break
        boxes = fewer
        if len(boxes) <= most:
            break
    return boxes


# --- layers ----------------------------------------------------------------------------------------------------------


def _boxes(
    nodes: tuple[GraphNode, ...],
    where: list[Layer | None],
    depth: int,
    opened: AbstractSet[Layer],
    closed: AbstractSet[Layer] = frozenset(),
) -> list[Box]:
    """Open so many levels of layers, and those in `opened`; every other layer, and those in `closed`, is one box."""
    folded: dict[Layer, Box] = {}
    boxes = []
    for node in nodes:
        place = where[node.id]
        chain = place.chain() if place else ()
        layer = next((at for at in chain if (at.level >= depth or at in closed) and at not in opened), None)
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
    return boxes


def _opened(nodes: tuple[GraphNode, ...], where: list[Layer | None], names: Sequence[str]) -> set[Layer]:
    """The layers to open for what has these names, a layer with all inside, an operation, a value, and for an error."""
    opened: set[Layer] = set()
    met: set[str] = set()
    wanted = set(names)
    for node in nodes:
        place = where[node.id]
        chain = place.chain() if place and (wanted or node.error is not None) else []
        own = wanted & {node.op, node.name}
        if own or node.error is not None:
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


def _rows(nodes: tuple[GraphNode, ...], boxes: list[Box]) -> list[list[Box]]:
    """Folded layers of the same structure, each of which gets all from the one before and gives only to the next."""
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
    forms = {box: _form(box) for box in boxes if box.layers}
    rows: dict[Box, list[Box]] = {}  # by their last box
    for box, form in forms.items():
        before = next(iter(takes[box])) if len(takes[box]) == 1 else None
        alike = before in forms and before.place is box.place and gives[before] == {box} and forms[before] == form
        row = rows.pop(before, []) if alike and before else []
        rows[box] = [*row, box]
    return list(rows.values())


def _joined(nodes: tuple[GraphNode, ...], boxes: list[Box]) -> list[Box]:
    """One box for each row of equal ones."""
    gone = set()
    for first, *others in _rows(nodes, boxes):
        for other in others:
            first.nodes += other.nodes
            first.layers += other.layers
        first.nodes.sort(key=lambda node: node.id)
        gone |= set(others)
    return [box for box in boxes if box not in gone]


def _more_of_the_same(nodes: tuple[GraphNode, ...], where: list[Layer | None], deepest: int) -> set[Layer]:
    """Of each row of three or more equal layers, all but the first."""
    found: set[Layer] = set()
    for depth in range(deepest):
        for row in _rows(nodes, _boxes(nodes, where, depth, set())):
            if len(row) > 2:
                found.update(layer for box in row[1:] for layer in box.layers)
    return found


def _form(box: Box) -> tuple[Any, ...]:
    """The same for layers of the same structure: their kind, and operations, shapes and what feeds what."""
    local = {node.id: i for i, node in enumerate(box.nodes)}
    inside = ((node.op, node.shape, tuple(local.get(given) for given in node.inputs)) for node in box.nodes)
    return box.layers[0].kind, *inside


# --- the budget ------------------------------------------------------------------------------------------------------


def _hide_middle(boxes: list[Box], most: int) -> list[Box]:
    """Keep what is next to the inputs or to the output, and what went wrong; boxes stand for what is in between."""
    tail = max(1, (most - 1) // 2)  # the output is always shown
    kept: list[Box] = []
    hidden: list[GraphNode] = []
    for i, box in enumerate(boxes):
        if i < most - 1 - tail or i >= len(boxes) - tail or (box.node and box.node.error is not None):
            if hidden:
                kept.append(Box(sorted(hidden, key=lambda node: node.id), None))
                hidden = []
            kept.append(box)
        else:
            hidden += box.nodes
    return kept


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
    if last.value is not None:
        edges.append(Edge(owner[last.id], None, last, last.grad))
    return edges


def _added(edge: Edge, grad: Any) -> Edge:
    if grad is None:
        return edge
    total = grad if edge.grad is None else np.add(edge.grad, grad)
    return Edge(edge.source, edge.target, edge.value, total)
