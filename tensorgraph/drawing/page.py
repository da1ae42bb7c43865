"""The live page: one HTML file with the whole graph in it, to step through forward and backward.

The numbers are written here as in every other picture. What is folded, where things stand and what has been computed up
to the current step changes in the reader's hands: that is the page's own JavaScript, in the files beside this one.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph.drawing import gates, numbers
from tensorgraph.drawing.digits import rows
from tensorgraph.drawing.equations import Equation, beside, filled, shape_or_number
from tensorgraph.drawing.nesting import nest
from tensorgraph.drawing.rules import Rule, Rules

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode

Array = np.ndarray[Any, np.dtype[Any]]
Facts = dict[str, Any]

DIGITS = 6  # of the numbers in equations
FULL = 256  # elements of an array that the page can list one by one
PIXELS = 1_500_000  # of all thumbnails together
SIDE = 96  # pixels of a thumbnail's longer side, at most
MAPS = 16  # of one thumbnail
SHADES = 253  # the shades of a pixel are 0 to 253; what follows are
BROKEN, BLANK = 254, 255  # a pixel with NaN or infinity in it, and the gaps between maps

_PLACE = re.compile(r"\{\{([\w.]+)\}\}")  # in page.html: the graph, or a file to be put there


def page(nodes: tuple[GraphNode, ...]) -> str:
    """The page as text. It needs nothing but itself."""
    graph = _embedded(facts(nodes))
    folder = files("tensorgraph.drawing")
    return _PLACE.sub(
        lambda place: graph if place[1] == "graph" else _read(folder / place[1]), _read(folder / "page.html")
    )


def _read(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")


def _embedded(data: Facts) -> str:
    """JSON that cannot end the element it stands in: names are the user's, and may hold anything."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))  # and nothing but ASCII
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def facts(nodes: tuple[GraphNode, ...]) -> Facts:
    """All that the page knows, as JSON."""
    boxes, inside = nest(nodes)
    arrays = _Arrays()
    rules = Rules(nodes)
    return {
        "nodes": [_node(node, rules, arrays, box) for node, box in zip(nodes, inside, strict=True)],
        "boxes": [{"label": box.label, "parent": box.parent, "cut": box.cut} for box in boxes],
        "arrays": arrays.listed(),
    }


def _node(node: GraphNode, rules: Rules, arrays: _Arrays, box: int | None) -> Facts:
    found: Facts = {
        "op": node.op,
        "gate": node.gate,
        "name": node.name,
        "called": rules.names[node.id],
        "box": box,
        "value": arrays.number(node.value),
        "grad": arrays.number(node.grad),
    }
    if node.layers:
        found["layers"] = list(node.layers)
    if node.error is not None:
        found["error"] = node.error
    elif node.gate is not None:
        found["rule"] = _rule(rules.of(node))
    if node.gate is not None:
        found |= {
            "symbol": gates.symbol(node),
            "word": "failed" if node.error is not None else gates.rule(node),
            "inputs": list(node.inputs),
            "arguments": list(node.arguments),
            "downstream": [arrays.number(gradient) for gradient in node.downstream],
        }
    options = {name: repr(option) for name, option in node.options.items() if not callable(option)}
    if options:
        found["options"] = options
    if node.source is not None:
        found["source"] = node.source.brief
    return found


# --- rules ------------------------------------------------------------------------------------------------------------


def _rule(rule: Rule) -> Facts:
    return {
        "words": rule.words,
        "forward": rule.forward and _equation(rule.forward),
        "backward": [_equation(equation) for equation in rule.backward],
    }


def _equation(equation: Equation) -> Facts:
    """left = pieces = result. A piece has its role, its symbols, and the lines of its numbers."""
    template = equation.template.replace(" * ", " × ")
    pieces = [("upstream" if text == "{g}" else "", text) for text in re.split(r"(\{g\})", template) if text]
    if template.startswith("{g} × "):
        pieces = [("upstream", "{g}"), ("", " × "), ("local", template.removeprefix("{g} × "))]
    has_symbols, is_small = equation.has_symbols, equation.is_small

    def shown(text: str) -> tuple[str, list[str]]:
        symbols = "".join(filled(text, equation.symbol)) if has_symbols else ""
        if is_small:
            return symbols, beside(*replace(equation, template=text).numbers(DIGITS))
        return symbols, ["".join(filled(text, lambda name: shape_or_number(equation.operands[name].value)))]

    return {
        "left": str(equation.left),
        "symbols": has_symbols,
        "pieces": [(role, *shown(text)) for role, text in pieces],
        "result": rows(equation.result) if is_small else [shape_or_number(equation.result)],
    }


# --- arrays -----------------------------------------------------------------------------------------------------------


class _Arrays:
    """Every array once: the gradient that a gate sends back is mostly the one that the node before it receives."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._arrays: list[Array] = []

    def number(self, array: Array | None) -> int | None:
        """Its place in the list."""
        if array is None:
            return None
        key = array.__array_interface__["data"][0], array.shape, array.strides, array.dtype
        number = self._numbers.setdefault(key, len(self._arrays))
        if number == len(self._arrays):
            self._arrays.append(array)
        return number

    def listed(self) -> list[Facts]:
        large = sum(not numbers.is_small(array) for array in self._arrays)
        side = min(SIDE, math.isqrt(PIXELS // max(1, large)))
        return [_array(array, side) for array in self._arrays]


def _array(array: Array, side: int) -> Facts:
    found: Facts = {"shape": list(array.shape), "dtype": str(array.dtype), "lines": numbers.lines(array)}
    if array.dtype.kind not in "fiub":
        return found
    if array.size <= FULL:
        found["values"] = [_exact(x) for x in array.flat]
    if not numbers.is_small(array) and array.size and side >= 12:
        found["picture"] = _picture(array, side)
    return found


def _exact(x: Any) -> Any:
    """As JSON: all digits that the type has, and words for what JSON has no numbers for."""
    if x.dtype.kind != "f":
        return x.item()
    return float(str(x)) if np.isfinite(x) else str(x)


def _picture(array: Array, side: int) -> Facts:
    """A heat map: the last two axes of an array, in tiles for the first few of the axes before."""
    array = array.squeeze().astype(np.float64)
    maps = array.reshape(-1, *array.shape[-2:]) if array.ndim > 1 else array.reshape(1, 1, -1)  # (N, H, W)
    maps = maps[:MAPS]
    across = math.ceil(math.sqrt(len(maps)))
    room = (side + 1) // across - 1  # pixels of a tile; there is one between tiles
    maps = _shrunk(_shrunk(maps, room, 1), room, 2)  # (N, h, w)
    finite = np.isfinite(maps)
    limit = np.abs(maps[finite]).max(initial=0) or 1.0
    signed = bool((maps[finite] < 0).any())
    with np.errstate(invalid="ignore"):
        share = maps / limit / 2 + 0.5 if signed else maps / limit
    shades = np.where(finite, np.rint(np.where(finite, share, 0) * SHADES), BROKEN).astype(np.uint8)
    _, h, w = shades.shape
    rows = math.ceil(len(maps) / across)
    sheet = np.full((rows * (h + 1) - 1, across * (w + 1) - 1), BLANK, np.uint8)
    for i, tile in enumerate(shades):
        top, left = i // across * (h + 1), i % across * (w + 1)
        sheet[top : top + h, left : left + w] = tile
    pixels = b64encode(sheet.tobytes()).decode("ascii")
    return {"height": sheet.shape[0], "width": sheet.shape[1], "signed": signed, "limit": limit, "pixels": pixels}


def _shrunk(maps: Array, room: int, axis: int) -> Array:
    """The means of neighbours, so many that they fit in the room."""
    size = maps.shape[axis]
    if size <= room:
        return maps
    starts = np.arange(room) * size // room
    counts = np.diff(starts, append=size)
    shape = [1, 1, 1]
    shape[axis] = room
    return np.add.reduceat(maps, starts, axis) / counts.reshape(shape)
