"""A graph as a table of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorgraph.drawing import gates
from tensorgraph.drawing.folding import Box, fold
from tensorgraph.drawing.labels import operations
from tensorgraph.drawing.markup import clipped, printable
from tensorgraph.drawing.numbers import in_line

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.drawing.places import Layer
    from tensorgraph.drawing.view import View

_HEAD = ("node", "name", "operation", "rule", "inputs", "value", "gradient")


def text(nodes: tuple[GraphNode, ...], view: View) -> str:
    """A line for each thing that is shown, below a line for the layer in which it stands."""
    boxes = fold(nodes, view).boxes
    rows: list[tuple[str, ...] | str] = []
    place: Layer | None = None
    for box in boxes:
        if box.place is not place and (box.place or place):
            rows.append(" > ".join(clipped(layer.title) for layer in box.place.chain()) if box.place else "-")
            place = box.place
        rows.append(_row(box, view))
        if box.node is not None and box.node.error is not None:
            rows.append(f"      failed: {printable(box.node.error)}")
    shown = [i for i in range(len(_HEAD)) if (view.values or i != 5) and (view.grads or i != 6)]
    cells = [_HEAD, *(row for row in rows if not isinstance(row, str))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_HEAD))]
    written = [_HEAD, *rows]
    return "\n".join(row if isinstance(row, str) else _line(row, widths, shown) for row in written)


def _row(box: Box, view: View) -> tuple[str, ...]:
    """The columns of one thing; a folded layer shows its last value."""
    own = {node.id for node in box.nodes}
    inputs = " ".join(str(given) for node in box.nodes for given in node.inputs if given not in own)
    last = box.nodes[-1]
    if box.node is None:
        title = " … ".join(clipped(layer.title) for layer in dict.fromkeys((*box.layers[:1], *box.layers[-1:])))
        number, name, rule = f"{box.nodes[0].id}-{last.id}", title, f"{len(box.nodes):,} nodes"
        operation = operations(box.nodes)
        if len(box.layers) > 1:
            name = f"{len(box.layers)} x {name}"
        inputs = inputs if len(inputs) < 30 else f"{len(inputs.split()):,} values"
    else:
        number, name, operation = str(last.id), clipped(last.name or ""), last.op
        rule = gates.rule(last) if last.gate else ""
    hidden = box.node is None and not box.layers
    value = in_line(last.value) if view.values and last.value is not None and not hidden else ""
    grad = in_line(last.grad) if view.grads and last.grad is not None and not hidden else ""
    return number, name if not hidden else "... hidden ...", operation, rule, inputs, value, grad


def _line(row: tuple[str, ...], widths: list[int], shown: list[int]) -> str:
    aligned = [row[i].rjust(widths[i]) if i == 0 else row[i].ljust(widths[i]) for i in shown]
    return "  ".join(aligned).rstrip()
