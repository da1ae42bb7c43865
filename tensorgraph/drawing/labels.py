"""What stands in the boxes of a picture and on its edges, as HTML-like labels."""

from __future__ import annotations

import html
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph._primitive import GATES
from tensorgraph.drawing import digits, gates, thumbnails
from tensorgraph.drawing.markup import (
    ALARM,
    GREEN,
    GREY,
    MONO,
    RED,
    cell,
    clipped,
    escaped,
    font,
    heat_map,
    printable,
    row,
    stacked,
    table,
)
from tensorgraph.drawing.numbers import brief, is_small, lines, norm, number, shape, statistics

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.drawing.folding import Box, Edge
    from tensorgraph.drawing.view import View

Array = np.ndarray[Any, np.dtype[Any]]
Sides = tuple[list[str], list[str]]  # the lines of a value, and of its gradient

_BLANK = "&#160;"
_EMPTY = font(_BLANK, size=9)  # a line
_PLAIN = (bool, int, float, str, tuple, type(None))  # options that are written; a function's repr is never the same
_LINE = f' COLOR="{GREY}"'
_SIDE = 46  # points of the heat maps of one array
_PARAMETERS = 3  # of a folded layer that are listed
_OPERATIONS = 5  # kinds of operations of a folded layer that are counted one by one


def is_number(node: GraphNode) -> bool:
    """Whether it is a number of the program, which stands in its own box."""
    return node.op == "constant" and node.shape == ()


# --- on an edge ------------------------------------------------------------------------------------------------------


def on_edge(edge: Edge, view: View, across: bool) -> str | None:
    """The value and the gradient on an edge, None if nothing is to be shown.

    Across the page the value is above the line and the gradient below it. Down the page they are left and right of it.
    """
    if edge.value is None:
        return table([row([cell(font(f"{edge.count:,} values", colour=GREY))])])
    grad = edge.grad if view.grads else None
    value = edge.value.value if view.values and not is_number(edge.value) else None
    if value is None and grad is None:
        return None
    above = _block(lines(value)) if value is not None else []
    below = _block(lines(grad)) if grad is not None else []
    if not across:  # both sides as wide as the wider one: the line is in the middle
        width = max(map(len, above + below))
        above = [line.rjust(width) for line in above]
        below = [line.ljust(width) for line in below]
    failing = edge.target is not None and edge.target.node is not None and edge.target.node.error is not None
    values = _value(value, above, shaped=failing or _has_shape(value)) if value is not None else []
    grads = _grad(grad, below) if grad is not None else []
    if values and edge.value.gate and edge.value.name is not None:
        values = _named(values, edge.value.name, across)
    texts = values, grads
    maps = _maps(value, thumbnails.VALUES), _maps(grad, thumbnails.GRADS)
    if across:
        return table(_above_and_below(texts, maps), padding=2, attributes=_LINE)
    return table(_side_by_side(texts, maps), padding=0, attributes=_LINE)


def _above_and_below(texts: Sides, maps: tuple[str, str]) -> list[str]:
    """Rows with the value, the line and the gradient. As many lines above as below: the line is in the middle."""
    height = max(map(len, texts))
    values, grads = texts
    values, grads = [_EMPTY] * (height - len(values)) + values, grads + [_EMPTY] * (height - len(grads))
    rows = []
    for text, shown in zip((values, grads), maps):
        lines = stacked([_even(line) for line in text])
        rows.append(row([cell(table([row([cell(shown), cell(lines)])], padding=2) if shown else lines)]))
    return [rows[0], "<HR/>", rows[1]]


def _side_by_side(texts: Sides, maps: tuple[str, str]) -> list[str]:
    """A row for each line, so that the gradient of a number stands beside it. The line is between them."""
    height = max(map(len, texts))
    values, grads = ([_EMPTY] * (height - len(text)) + text if text else [] for text in texts)
    rows = []
    for i in range(height):
        left = [cell(_even(values[i]), ' ALIGN="RIGHT"')] if values else []
        right = [cell(_even(grads[i]), ' ALIGN="LEFT"')] if grads else []
        if i == 0:
            outer = [[cell(shown, f' ROWSPAN="{height}"')] if shown else [] for shown in maps]
            left, right = outer[0] + left, right + outer[1]
        rows.append(row(["<VR/>".join("".join(side) for side in (left, right) if side)]))
    return rows


def _block(text: list[str]) -> list[str]:
    """Lines of one length, so that their columns stay below each other wherever the text is put."""
    width = max(map(len, text))
    return [line.ljust(width) for line in text]


def _even(line: str) -> str:
    """A line as high as others, upright or in italics: Graphviz takes the larger size where it has two fonts."""
    return f"{_BLANK}{line}{_BLANK}"


def _named(text: list[str], name: str, across: bool) -> list[str]:
    """The lines of an intermediate result with its name."""
    title = f"<B>{escaped(name)}</B>"
    return [f"{title} {text[0]}", *text[1:]] if across else [title, *text]


def _value(array: Array, lines: list[str], shaped: bool) -> list[str]:
    """The lines of a value, below its shape if that is wanted."""
    text = [font(_spaced(line), colour=GREEN, face=MONO, size=_size(array)) for line in lines]
    return [font(shape(array), colour=GREY, size=9), *text] if shaped else text


def _grad(grad: Array, lines: list[str]) -> list[str]:
    text = [font(f"<I>{_spaced(line)}</I>", colour=RED, face=MONO, size=_size(grad)) for line in lines]
    return [font("<I>gradient</I>", colour=RED, size=9), *text] if _has_shape(grad) else text


def _has_shape(array: Array) -> bool:
    """Whether the shape is written: it is not seen from the numbers."""
    return array.ndim > 2 or not is_small(array)


def _size(array: Array) -> float | None:
    """Small print for arrays, in a size at which browsers set the text as wide as Graphviz measures it."""
    return 10 if array.ndim else None


def _spaced(line: str) -> str:
    """Spaces that keep their width."""
    return line.replace(" ", _BLANK)


def _maps(array: Array | None, ends: Any) -> str:
    """The heat maps of an array that has such: one, or up to four in two rows."""
    shown = [] if array is None or is_small(array) else thumbnails.maps(array)
    if not shown:
        return ""
    grids = thumbnails.colours(shown, ends)
    columns = 1 if len(grids) == 1 else 2
    cells = [cell(heat_map(one, _SIDE // columns // max(len(one), len(one[0])))) for one in grids]
    return table([row(cells[i : i + columns]) for i in range(0, len(cells), columns)], spacing=1, padding=0)


# --- in a box --------------------------------------------------------------------------------------------------------


def in_gate(node: GraphNode, layer: str | None, across: bool) -> str:
    """The symbol of a gate and its rule; `layer` if the gate is all of one."""
    sign = gates.symbol(node)
    name = font(escaped(sign), size=20 if len(sign) < 3 else 12)
    rule, equals, local = gates.rule(node).partition(" = ")
    text = [font(escaped(rule), size=9)]
    if equals:
        text.append(_even(font(f"<I>= {escaped(local)}</I>", size=9, colour=RED)))
    if across or len(sign + rule) > 30:
        text.insert(0, name)
    else:  # few lines: a picture that goes down the page is long enough
        text[0] = f"{name}{_BLANK * 2}{text[0]}"
    if layer:
        text.insert(0, font(escaped(layer), size=9, colour=GREY))
    return stacked(text)


def in_error(node: GraphNode) -> str:
    """The call that went wrong, and what is wrong."""
    said = textwrap.wrap(printable(node.error or ""), width=50, max_lines=8, placeholder=" …")
    title = f"<B>{escaped(gates.symbol(node))} failed</B>"
    return stacked([font(title, size=12, colour=ALARM), *(font(html.escape(line), size=9) for line in said)])


def in_leaf(node: GraphNode, view: View) -> str:
    """The name of what went in, or what it is; of a number of the program its value."""
    if node.name is not None:
        return f"<B>{escaped(node.name)}</B>"
    if is_number(node) and node.value is not None and view.values:
        return font(number(node.value[()]), colour=GREEN, face=MONO)
    return font(node.op, colour=GREY)


def in_layer(box: Box, view: View) -> str:
    """A folded layer, or several in a row: what it is, what it computes, what it learns."""
    first, last = box.layers[0], box.layers[-1]
    if len(box.layers) > 1:
        title = f"<B>{len(box.layers)} × {escaped(first.kind)}</B>"
        rows = [cell(title), cell(font(f"{escaped(first.path)} … {escaped(last.path)}", size=9))]
    else:
        rows = [cell(f"<B>{escaped(first.title)}</B>")]
    gate_nodes = [node for node in box.nodes if node.gate]
    if len(gate_nodes) == 1:
        only = gate_nodes[0]
        rows.append(cell(font(escaped(f"{gates.symbol(only)}: {gates.rule(only)}"), size=9)))
    else:
        rows.append(cell(font(html.escape(operations(gate_nodes)), size=9, colour=GREY)))
    return table([row([one]) for one in [*rows, *_parameters(box, view)]])


def in_hidden(box: Box) -> str:
    """What the budget hides."""
    return stacked([f"<B>… {len(box.nodes):,} nodes hidden …</B>", font(html.escape(operations(box.nodes)), size=9)])


def operations(nodes: list[GraphNode]) -> str:
    """What several nodes compute: "8 conv2d, 8 batch_norm, add"."""
    counts = Counter(node.op for node in nodes if node.gate)
    named = [f"{count:,} {op}" if count > 1 else op for op, count in counts.most_common(_OPERATIONS)]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} other kinds" if more else "")


def _parameters(box: Box, view: View) -> list[str]:
    """A line for each parameter of a folded layer: its norm and that of its gradient; of many, one line for all."""
    found = [(node, node.value) for node in box.nodes if node.op == "parameter" and node.value is not None]
    if len(found) > _PARAMETERS:
        groups = {f"{len(found)} parameters, {sum(value.size for _, value in found):,} numbers": found}
    else:
        groups = {
            f"{(node.name or 'parameter').rpartition('.')[2]} {shape(value)}": [(node, value)] for node, value in found
        }
    rows = []
    for title, group in groups.items():
        text = escaped(title)
        if view.values:
            text += _BLANK * 2 + font(f"norm {brief(norm(value for _, value in group))}", colour=GREEN)
        grads = [node.grad for node, _ in group if node.grad is not None]
        if view.grads and grads:
            text += _BLANK * 2 + font(f"<I>gradient {brief(norm(grads))}</I>", colour=RED)
        rows.append(cell(font(text, size=9)))
    return rows


# --- beside it -------------------------------------------------------------------------------------------------------


def tooltip(node: GraphNode) -> str:
    """All facts of a node, shown where the pointer rests."""
    text = [f"{node.op}, node {node.id}" + (f", {clipped(node.name)}" if node.name is not None else "")]
    if node.gate:
        text.append(f"{node.gate} gate {GATES[node.gate]}")
    if node.value is not None:
        text.append(f"{shape(node.value)} {node.dtype}")
    text += [f"{name}={clipped(repr(option))}" for name, option in node.options.items() if isinstance(option, _PLAIN)]
    if node.source is not None:
        text.append(clipped(node.source.brief))
    return "\n".join(text)


def edge_tooltip(edge: Edge, view: View) -> str:
    """The value and the gradient on an edge, in as many digits as a worked example has."""
    if edge.value is None:
        return f"{edge.count:,} values"
    text = []
    for title, array, wanted in (("value", edge.value.value, view.values), ("gradient", edge.grad, view.grads)):
        if wanted and array is not None:
            text.append(f"{title}, {shape(array)} {array.dtype}")
            text += digits.rows(array) if digits.is_small(array) else statistics(array)
    return "\n".join(text)


def scales(values: bool, grads: bool) -> str:
    """The colours of heat maps, from the largest negative number over 0 to the largest positive one."""
    steps = [np.linspace(-1, 1, 9)[None]]
    rows = []
    for wanted, ends in ((values, thumbnails.VALUES), (grads, thumbnails.GRADS)):
        if wanted:
            (strip,) = thumbnails.colours(steps, ends)
            sides = [cell(font(text, size=9)) for text in ("−", "+")]
            rows.append(row([sides[0], cell(heat_map(strip, 8)), sides[1]]))
    return table(rows, spacing=1)
