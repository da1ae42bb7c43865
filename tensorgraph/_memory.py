"""How many bytes the tape holds for the backward pass, by operation and by layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tensorgraph._context import label_of
from tensorgraph._tape import Array, Leaf, Node, topological_order


class Held(NamedTuple):
    """Memory that one recorded operation, or what went into it, was the first to hold."""

    what: str  # "result", "parameter" or "input"
    op: str
    layer: str | None
    bytes: int


class Memory:
    """Bytes that a recorded graph holds for its backward pass; made by `Graph.memory`.

    `total` counts what the forward pass made: results, and what operations keep beside them, such as the winners of a
    max pooling. It is freed by `backward()`. `parameters` and `inputs` are held too, but belong to the
    program (a raw array beside a tensor is an input that the tape has copied).
    `by_op` and `by_layer` divide the total. Arrays that share memory, as a reshaped one does, count once.
    """

    def __init__(self, held: Iterable[Held]) -> None:
        by_what: Counter[str] = Counter()
        self.by_op: Counter[str] = Counter()
        self.by_layer: Counter[str | None] = Counter()
        for what, op, layer, count in held:
            by_what[what] += count
            if what == "result":
                self.by_op[op] += count
                self.by_layer[layer] += count
        self.total, self.parameters, self.inputs = (by_what[what] for what in ("result", "parameter", "input"))

    def __repr__(self) -> str:
        return f"<Memory: {_readable(self.total)} for backward>"

    def __str__(self) -> str:
        tables: list[tuple[str, Counter[Any]]] = [("layer", self.by_layer), ("operation", self.by_op)]
        lines = [f"{_readable(self.total)} held for backward, freed by it"]
        for head, table in tables:
            if set(table) == {None}:
                continue  # no layer was running
            lines.append(f"\nby {head}:")
            rows = [
                (str(name or "outside of layers"), _readable(count)) for name, count in table.most_common() if count
            ]
            width = max((len(name) for name, _ in rows), default=0)
            lines += [f"  {name:{width}}  {count:>10}" for name, count in rows]
        lines.append(f"\nbeside it: parameters {_readable(self.parameters)}, inputs {_readable(self.inputs)}")
        return "\n".join(lines)


def held(root: Node) -> tuple[Held, ...]:
    """What the nodes behind `root` hold, each piece of memory once, under the first that held it."""
    layers: dict[int, str | None] = {id(None): None}  # the text of a layer's label is asked for once
    known: dict[Any, Any] = {}
    seen: set[int] = set()
    found = []
    for node in reversed(topological_order([root])):
        for what, array in _arrays(node):
            owner = _owner(array)
            if id(owner) not in seen:
                seen.add(id(owner))
                if id(node.scope) not in layers:
                    layers[id(node.scope)] = label_of(node.scope, known)
                found.append(Held(what, node.op, layers[id(node.scope)], owner.nbytes))
    return tuple(found)


def _arrays(node: Node) -> Iterator[tuple[str, Array]]:
    """The arrays of a node, what went in before what it made of it, which may share its memory."""
    for parent, value in zip(node.parents, node.arrays, strict=True):
        if isinstance(value, np.ndarray) and (parent is None or isinstance(parent, Leaf)):
            yield "input" if parent is None else "parameter", value
    for value in (node.out, *(node.options or {}).values()):
        for array in value if isinstance(value, tuple) else (value,):
            if isinstance(array, np.ndarray):
                yield "result", array


def _owner(array: Array) -> Array:
    """The array whose memory this one looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _readable(count: int) -> str:
    if count < 1024:
        return f"{count} bytes"
    size, unit = count / 1024, "KiB"
    for larger in ("MiB", "GiB"):
        if size < 1000:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f} {unit}"
