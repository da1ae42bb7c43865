"""Layers as boxes in boxes, such that any of them can be folded into one node and the graph still has no cycle.

A long row of nodes without layers is cut into boxes too, so that it can be folded.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import ceil
from typing import TYPE_CHECKING

from tensorgraph.drawing.places import Layer, places

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode

LONG = 120  # parts side by side in one box: more are cut into pieces
PIECE = 40

Part = tuple[Layer | None, list[int]]  # the ids of a layer's nodes in order; without a layer it is one node


@dataclass(frozen=True)
class Box:
    """Nodes that can be folded into one."""

    label: str
    parent: int | None  # the box around it: its place in the list of boxes
    cut: bool = False  # a piece of a long row, and not a layer


def nest(nodes: tuple[GraphNode, ...]) -> tuple[list[Box], list[int | None]]:
    """The boxes, each after the one around it, and for every node the innermost box in which it stands."""
    chains = _chains(nodes)
    boxes: list[Box] = []
    inside: list[int | None] = [None] * len(nodes)
    work: list[tuple[list[Part], int, int | None]] = [(_parts(nodes, list(range(len(nodes))), chains, 0), 0, None)]
    while work:
        parts, depth, around = work.pop()
        for piece in _cut(parts):
            members = [node for _, part in piece for node in part]
            if len(piece) < len(parts):
                boxes.append(Box(f"nodes {min(members)} to {max(members)}", around, cut=True))
                work.append((piece, depth, len(boxes) - 1))
                continue
            for layer, part in piece:
                if layer is None:
                    inside[part[0]] = around
                else:
                    boxes.append(Box(layer.title, around))
                    work.append((_parts(nodes, part, chains, depth + 1), depth + 1, len(boxes) - 1))
    return boxes, inside


def _cut(parts: list[Part]) -> list[list[Part]]:
    """Pieces of about equal length, so few that they need not be cut again into pieces of pieces."""
    if len(parts) <= LONG:
        return [parts]
    size = PIECE
    while size * PIECE < len(parts):
        size *= PIECE
    size = ceil(len(parts) / ceil(len(parts) / size))
    return [parts[start : start + size] for start in range(0, len(parts), size)]


def _chains(nodes: tuple[GraphNode, ...]) -> list[list[Layer]]:
    """The layers around every node. A copy gate stands in a layer that makes the value and goes on to use it."""
    chains = [[] if place is None else place.chain() for place in places(nodes)]
    for node in nodes:
        if node.gate != "copy":
            for given in node.inputs:
                if nodes[given].gate == "copy":
                    made = chains[nodes[given].inputs[0]]
                    shared = [layer for layer in made if layer in chains[node.id]]
                    chains[given] = max(chains[given], shared, key=len)
    return chains


# --- parts without cycles ---------------------------------------------------------------------------------------------


def _parts(nodes: tuple[GraphNode, ...], members: list[int], chains: list[list[Layer]], depth: int) -> list[Part]:
    """The layers and single nodes that a box consists of, each after those that it gets values from."""
    layers: dict[Layer, list[int]] = defaultdict(list)
    parts: list[Part] = []
    for i in members:
        if depth < len(chains[i]):
            layers[chains[i][depth]].append(i)
        else:
            parts.append((None, [i]))
    parts += [(layer if len(part) > 1 else None, part) for layer, part in layers.items()]
    ordered, cyclic = _in_order(nodes, parts)
    if cyclic:  # no boxes for those that cannot be folded
        ordered, _ = _in_order(nodes, ordered + [(None, [i]) for _, part in cyclic for i in part])
    return ordered


def _in_order(nodes: tuple[GraphNode, ...], parts: list[Part]) -> tuple[list[Part], list[Part]]:
    """The parts, each after those that it gets values from; and those that cycles hold back."""
    place = {i: k for k, (_, part) in enumerate(parts) for i in part}
    given: list[set[int]] = [set() for _ in parts]
    used: list[set[int]] = [set() for _ in parts]
    for k, (_, part) in enumerate(parts):
        for other in {place[i] for node in part for i in nodes[node].inputs if i in place} - {k}:
            given[k].add(other)
            used[other].add(k)
    rank = [part[0] for _, part in parts]
    before = _peeled(given, used, rank, set(range(len(parts))))
    left = set(range(len(parts))).difference(before)
    after = _peeled(used, given, [-i for i in rank], left)
    cyclic = left.difference(after)
    return [parts[k] for k in (*before, *reversed(after))], [parts[k] for k in sorted(cyclic)]


def _peeled(before: list[set[int]], after: list[set[int]], rank: list[int], among: set[int]) -> list[int]:
    """Those that can be put in an order in which each comes after what is `before` it, low ranks first."""
    waiting = {k: len(before[k] & among) for k in among}
    ready = [(rank[k], k) for k, count in waiting.items() if not count]
    heapify(ready)
    order = []
    while ready:
        _, k = heappop(ready)
        order.append(k)
        for other in after[k] & among:
            waiting[other] -= 1
            if not waiting[other]:
                heappush(ready, (rank[other], other))
    return order
