"""What stands in the boxes of a picture and on its edges, as HTML-like labels."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph.drawing import gates, thumbnails
from tensorgraph.drawing.markup import (
    GREEN,
    GREY,
    MONO,
    RED,
    cell,
    clipped,
    escaped,
    font,
    heat_map,
    row,
    stacked,
    table,
)
from tensorgraph.drawing.numbers import brief, is_small, lines, shape

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.drawing.folding import Box, Edge
    from tensorgraph.drawing.view import View

_BLANK = "&#160;"
_LINE = f' COLOR="{GREY}"'
_PARAMETERS = 3  # of a folded layer that are listed
_OPERATIONS = 4  # kinds of operations of a folded layer that are counted one by one


# --- on an edge ------------------------------------------------------------------------------------------------------


def on_edge(edge: Edge, view: View, across: bool) -> str | None:
    """The value and the gradient on an edge, None if nothing is to be shown.

    Across the page the value is above the line and the gradient below it. Down the page they are left and right of it.
    """
    if edge.value is None:
        return table([row([cell(font(f"{edge.count:,} values", colour=GREY))])])
    grad = edge.grad if view.grads else None
    if not view.values and grad is None:
        return None
    above = lines(edge.value.value) if view.values else []
    below = lines(grad) if grad is not None else []
    if across:
        rows = [row([cell(one)]) for one in _level(_value(edge.value, above), _grad(grad, below))]
        return table(["<HR/>".join(rows)], attributes=_LINE)
    width = max(map(len, above + below))  # both sides are as wide as the wider one: the line is in the middle
    cells = []
    if above:
        text = _value(edge.value, [line.rjust(width) for line in above])
        cells.append(cell(_below_maps(text, edge.value.value, thumbnails.VALUES)))
    if below:
        text = _grad(grad, [line.ljust(width) for line in below])
        cells.append(cell(_below_maps(text, grad, thumbnails.GRADS)))
    return table([row(["<VR/>".join(cells)])], padding=2, attributes=_LINE)


def _level(above: list[str], below: list[str]) -> tuple[str, str]:
    """Both with the same number of lines."""
    height = max(len(above), len(below))
    blanks = [_BLANK] * height
    return stacked([*blanks[len(above) :], *above]), stacked([*below, *blanks[len(below) :]])


def _value(node: GraphNode, lines: list[str]) -> list[str]:
    """The lines of a value with its shape, and its name if it is an intermediate result that has one."""
    text = [font(_spaced(line), colour=GREEN, face=MONO) for line in lines]
    if text and _has_shape(node.value):
        text.insert(0, font(shape(node.value), colour=GREY))
    if text and node.gate is not None and node.name is not None:
        text[0] = f"<B>{escaped(node.name)}</B> {text[0]}"
    return text


def _grad(grad: Any, lines: list[str]) -> list[str]:
    text = [font(f"<I>{_spaced(line)}</I>", colour=RED, face=MONO) for line in lines]
    if text and _has_shape(grad):
        text.insert(0, font("<I>gradient</I>", colour=RED))
    return text


def _has_shape(array: Any) -> bool:
    """Whether the shape is written: it is not seen from the numbers."""
    return array.ndim > 2 or not is_small(array)


def _spaced(line: str) -> str:
    """Spaces that keep their width."""
    return line.replace(" ", _BLANK)


def _below_maps(text: list[str], array: Any, ends: Any) -> str:
    """The text, below the heat maps of an array that has such."""
    shown = [] if is_small(array) else thumbnails.maps(array)
    if not shown:
        return stacked(text)
    size = 4 if len(shown) == 1 else 3
    grids = [cell(heat_map(one, size)) for one in thumbnails.colours(shown, ends)]
    return table([row([cell(table([row(grids)], padding=0, spacing=2))]), row([cell(stacked(text))])], padding=0)


# --- in a box --------------------------------------------------------------------------------------------------------


def in_gate(node: GraphNode, layer: str | None) -> str:
    """The symbol of a gate above its rule; `layer` if the gate is all of one."""
    sign = gates.symbol(node)
    text = [font(escaped(sign), size=20 if len(sign) < 3 else 12)]
    for i, part in enumerate(gates.rule(node).split(" = ")):
        text.append(font(escaped(part), size=9) if i == 0 else font(f"<I>= {escaped(part)}</I>", size=9, colour=RED))
    if layer:
        text.insert(0, font(escaped(layer), size=9, colour=GREY))
    return stacked(text)


def in_leaf(node: GraphNode) -> str:
    """The name of what went in, or what it is."""
    return f"<B>{escaped(node.name)}</B>" if node.name is not None else font(node.op, colour=GREY)


def in_layer(box: Box, view: View) -> str:
    """A folded layer, or several in a row: what it is, what it computes, what it learns."""
    first, last = box.layers[0], box.layers[-1]
    if len(box.layers) > 1:
        title = f"<B>{len(box.layers)} × {escaped(first.kind)}</B>"
        rows = [cell(title), cell(font(f"{escaped(first.path)} … {escaped(last.path)}", size=10))]
    else:
        rows = [cell(f"<B>{escaped(first.title)}</B>")]
    gate_nodes = [node for node in box.nodes if node.gate]
    if len(gate_nodes) == 1:
        only = gate_nodes[0]
        rows.append(cell(font(escaped(f"{gates.symbol(only)}: {gates.rule(only)}"), size=10)))
    else:
        rows.append(cell(font(escaped(operations(gate_nodes)), size=10, colour=GREY)))
    return table([row([one]) for one in [*rows, *_parameters(box, view)]])


def in_hidden(box: Box) -> str:
    """What the budget hides."""
    return stacked([f"<B>… {len(box.nodes):,} nodes hidden …</B>", font(escaped(operations(box.nodes)), size=10)])


def operations(nodes: list[GraphNode]) -> str:
    """What several nodes compute: "8 conv2d, 8 batch_norm, add"."""
    counts = Counter(node.op for node in nodes if node.gate)
    named = [f"{count:,} {op}" if count > 1 else op for op, count in counts.most_common(_OPERATIONS)]
    more = len(counts) - len(named)
    return ", ".join(named) + (f", {more} more kinds" if more > 0 else "")


def _parameters(box: Box, view: View) -> list[str]:
    """A line for each parameter of a folded layer: its norm and that of its gradient; of many, one line for all."""
    found = [node for node in box.nodes if node.op == "parameter"]
    if not found:
        return []
    if len(found) <= _PARAMETERS:
        names = [f"{clipped(node.name or 'parameter').rpartition('.')[2]} {shape(node.value)}" for node in found]
        groups = [[node] for node in found]
    else:
        names = [f"{len(found)} parameters, {sum(node.value.size for node in found):,} numbers"]
        groups = [found]
    rows = []
    for name, group in zip(names, groups, strict=True):
        text = escaped(name)
        if view.values:
            text += "  " + font(f"norm {brief(_norm([node.value for node in group]))}", colour=GREEN)
        grads = [node.grad for node in group if node.grad is not None]
        if view.grads and grads:
            text += "  " + font(f"<I>gradient {brief(_norm(grads))}</I>", colour=RED)
        rows.append(cell(font(text, size=10)))
    return rows


def _norm(arrays: list[Any]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        flat = [array.astype(np.float64).ravel() for array in arrays]
        return float(np.sqrt(sum(float(one @ one) for one in flat)))


# --- beside it -------------------------------------------------------------------------------------------------------


def tooltip(node: GraphNode) -> str:
    """All facts of a node, shown where the pointer rests."""
    from tensorgraph._primitive import GATES

    text = [f"{node.op}, node {node.id}" + (f", {clipped(node.name)}" if node.name is not None else "")]
    if node.gate:
        text.append(f"{node.gate} gate {GATES[node.gate]}")
    text.append(f"{shape(node.value)} {node.dtype}")
    text += [f"{name}={clipped(repr(option))}" for name, option in node.options.items()]
    if node.source is not None:
        text.append(f"{clipped(node.source.file)}:{node.source.line}: {clipped(node.source.code)}")
    return "\n".join(text)
