"""A graph as DOT text, which Graphviz draws. The text is all there is: no files beside it, and always the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tensorgraph.drawing import labels
from tensorgraph.drawing.folding import Box, Edge, Picture, fold
from tensorgraph.drawing.markup import ALARM, GREEN, GREY, RED, SANS, cell, escaped, font, quoted, row, stacked, table
from tensorgraph.drawing.numbers import is_small, lines

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.drawing.places import Layer
    from tensorgraph.drawing.view import View

# Light tints of Okabe and Ito's colours. The sign in a gate and the outline of a box say the same without colours.
_TINTS = {
    "add": "#D9EEFB",
    "mul": "#FCE8C8",
    "copy": "#FBF7CF",
    "max": "#D3EFE6",
    "function": "#F6E3EE",
    "wire": "#EEEEEE",
}
_SHAPES = {
    "parameter": 'shape=box, style="rounded,filled", penwidth=2, fillcolor="#FFFFFF"',
    "input": 'shape=note, style=filled, fillcolor="#FFFFFF"',
    "constant": 'shape=box, style=dashed, height=0.25, width=0.3, margin="0.06,0.03"',
}
_LAYER = 'shape=box3d, style=filled, fillcolor="#F4F4F4", margin="0.12,0.06"'
_HIDDEN = 'shape=box, style="dashed,filled", fillcolor="#F4F4F4"'
_FAILED = f'shape=octagon, style=filled, penwidth=3, color="{ALARM}", fillcolor="#FFF0F0", margin="0.02,0.02"'
_WIDEST = 1100  # points of a picture that goes across the page; a longer one goes down it
_TALLEST = 4  # rows that can be compared with those of a gradient below them; down the page they are side by side


def dot(nodes: tuple[GraphNode, ...], view: View, page: str = "") -> str:
    """The DOT text of a graph; `page` is an attribute for the paper."""
    picture = fold(nodes, view)
    across = _width(picture, view) <= _WIDEST and _rows_to_compare(picture, view) <= _TALLEST
    return "\n".join(["digraph tensorgraph {", *(f"  {line}" for line in _lines(picture, view, across, page)), "}", ""])


def _lines(picture: Picture, view: View, across: bool, page: str) -> Iterator[str]:
    if page:
        yield f"graph [{page}]"
    gap = "nodesep=0.15, ranksep=0.12" if across else "nodesep=0.2, ranksep=0.14"
    # Operands in their order, as in x - y and x / y, where no frames keep things together for Graphviz to arrange.
    order = "" if any(box.place for box in picture.boxes) else ", ordering=in"
    way = "LR" if across else "TB"
    yield f'graph [rankdir={way}, {gap}{order}, fontname="{SANS}", fontsize=11, bgcolor="#FFFFFF"]'
    yield f'node [fontname="{SANS}", fontsize=11, margin="0.05,0.03", height=0.3, width=0.3]'
    yield f'edge [fontname="{SANS}", fontsize=10, arrowsize=0.6, color="{GREY}"]'
    side = "l" if across else "r"  # down the page, what flows into a frame mostly enters it on the left
    drawn = list(_framed(picture, view, across).lines(side))
    yield from drawn
    if any(edge.target is None for edge in picture.edges):
        yield f"end [label=<{font('output', colour=GREY)}>, shape=plain]"
    yield from _legend(picture, view, across, "".join(drawn))


# --- boxes in their layers -------------------------------------------------------------------------------------------


class _Frames:
    """The lines of the text, those of a layer within its frame, frames within frames."""

    def __init__(self) -> None:
        self._inside: dict[Layer | None, list[str | Layer]] = {None: []}  # in the order in which they are met

    def add(self, lines: Iterable[str], frame: Layer | None) -> None:
        """Lines that belong into a frame."""
        for layer in frame.chain() if frame else ():
            if layer not in self._inside:
                self._inside[layer] = []
                self._inside[layer.outer].append(layer)
        self._inside[frame] += lines

    def lines(self, side: str) -> Iterator[str]:
        """Everything, titles of frames on this side. Without recursion, for modules may nest deeply."""
        path: list[tuple[str, Iterator[str | Layer]]] = [("", iter(self._inside[None]))]
        count = 0
        while path:
            indent, rest = path[-1]
            for one in rest:
                if isinstance(one, str):
                    yield indent + one
                    continue
                yield f"{indent}subgraph cluster_{count} {{"
                title = f"label=<<B>{escaped(one.title)}</B>>, labeljust={side}, fontcolor={quoted(GREY)}"
                yield f'{indent}  graph [{title}, style=rounded, color="#777777"]'
                count += 1
                path.append((indent + "  ", iter(self._inside[one])))
                break
            else:
                path.pop()
                if path:
                    yield path[-1][0] + "}"


def _framed(picture: Picture, view: View, across: bool) -> _Frames:
    """All boxes and edges in the frames of their layers. A gate that is alone in its layer says so without a frame."""
    counts = Counter(layer for box in picture.boxes if box.place for layer in box.place.chain())
    frames = _Frames()
    home: dict[Box, Layer | None] = {}
    for box in picture.boxes:
        place = box.place
        title: str | None = None
        if place is not None and counts[place] == 1 and box.node and box.node.gate:
            title, place = place.title, place.outer
        home[box] = place
        frames.add([_box(box, title, view, across)], place)
    for i, edge in enumerate(picture.edges):  # what flows into a layer is shown in its frame, above its gates
        label = labels.on_edge(edge, view, across)
        if label is not None:
            facts = f"shape=plain, tooltip={quoted(labels.edge_tooltip(edge, view))}"
            frames.add([f"v{i} [label=<{label}>, {facts}]"], home[edge.target] if edge.target else None)
        enters = edge.target is not None and home[edge.target] not in (None, home[edge.source])
        # Outside of the frames: a frame takes in both ends of an edge that is written in it.
        frames.add(_edge(edge, label and f"v{i}", across, enters), None)
    return frames


def _box(box: Box, layer: str | None, view: View, across: bool) -> str:
    node = box.node
    if node is None:
        label = labels.in_layer(box, view) if box.layers else labels.in_hidden(box)
        return f"{box.key} [label=<{label}>, {_LAYER if box.layers else _HIDDEN}]"
    if node.error is not None:
        look, label = _FAILED, labels.in_error(node)
    elif node.gate is None:
        look, label = _SHAPES[node.op], labels.in_leaf(node, view)
    else:
        look = f'shape=ellipse, style=filled, fillcolor="{_TINTS[node.gate]}", margin="0.01,0.01"'
        label = labels.in_gate(node, layer, across)
    return f"{box.key} [label=<{label}>, {look}, tooltip={quoted(labels.tooltip(node))}]"


# --- values and gradients on the way ---------------------------------------------------------------------------------


def _edge(edge: Edge, label: str | None, across: bool, enters: bool) -> Iterator[str]:
    """An edge through its label, which is a node: Graphviz would put a label of an edge to one side of it.

    One that enters a layer is longer: it comes from above the frame, not from beside it.
    """
    source, target = edge.source.key, edge.target.key if edge.target else "end"
    weight = 1 if edge.value and edge.value.gate is None else 6  # the way of the computation is straight
    if label is None:
        yield f"{source} -> {target} [weight={weight}]"
    else:
        entry, leave = ("w", "e") if across else ("n", "s")
        yield f"{source} -> {label}:{entry} [dir=none, weight={weight}{', minlen=2' if enters else ''}]"
        yield f"{label}:{leave} -> {target} [weight={weight}]"


def _width(picture: Picture, view: View) -> float:
    """About how wide the picture is across the page, in points: the longest way through it."""
    wide = dict.fromkeys(picture.boxes, 0.0)
    for edge in picture.edges:
        if edge.target is not None:
            label = 40.0
            array = edge.value.value if edge.value is not None and view.values else None
            if array is not None:
                label = 7.0 * max(map(len, lines(array))) if is_small(array) else 130.0
            wide[edge.target] = max(wide[edge.target], wide[edge.source] + label + 120)
    return max(wide.values())


def _rows_to_compare(picture: Picture, view: View) -> int:
    """The rows of the tallest array that is written in full with its gradient."""
    if not view.values or not view.grads:
        return 0
    shown = [edge.value.value for edge in picture.edges if edge.value is not None and edge.grad is not None]
    return max((len(lines(array)) for array in shown if array is not None and is_small(array)), default=0)


# --- legend ----------------------------------------------------------------------------------------------------------


def _legend(picture: Picture, view: View, across: bool, drawn: str) -> Iterator[str]:
    """What the shapes and colours mean, for those that occur."""
    items = []
    kinds = {box.node.op for box in picture.boxes if box.node}
    for kind, look in _SHAPES.items():
        if kind in kinds:
            items.append((font(kind, size=9), look))
    items.append((stacked([font("gate", size=9), font("its rule backward", size=8)]), "shape=ellipse, margin=0"))
    if any(box.layers for box in picture.boxes):
        items.append((font("folded layer", size=9), _LAYER))
    marks = []
    if view.values and GREEN in drawn:
        marks.append(cell(font("forward value", colour=GREEN, size=9)))
    if view.grads and RED in drawn:
        marks.append(cell(font("<I>gradient</I>", colour=RED, size=9)))
    if marks:
        rows = [row([marks[0]]), "<HR/>", row([marks[-1]])] if across else [row(["<VR/>".join(marks)])]
        items.append((table(rows if len(marks) > 1 else [row(marks)], padding=2), "shape=plain"))
    if "BGCOLOR" in drawn:
        items.append((labels.scales(view.values, RED in drawn), "shape=plain"))
    yield "subgraph cluster_legend {"
    yield f'  label=<{font("legend", colour=GREY, size=9)}>; labeljust=l; style=dotted; color="{GREY}"'
    for i, (label, look) in enumerate(items):
        yield f"  legend{i} [label=<{label}>, {look}]"
    yield "  " + " -> ".join(f"legend{i}" for i in range(len(items))) + " [style=invis]"
    yield "}"
