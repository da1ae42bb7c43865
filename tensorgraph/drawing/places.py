"""Where each node stands: in which call of which layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode


class Layer:
    """One call of a layer. A layer that runs several times, with other things in between, has several."""

    __slots__ = ("calls", "label", "level", "outer", "turn")

    def __init__(self, label: str, outer: Layer | None) -> None:
        self.label = label  # "features.0 (Conv2d)"
        self.outer = outer
        self.level: int = 0 if outer is None else outer.level + 1
        self.turn = self.calls = 1  # the second of three calls

    @property
    def title(self) -> str:
        return self.label if self.calls == 1 else f"{self.label}, call {self.turn} of {self.calls}"

    @property
    def path(self) -> str:
        """features.0 of "features.0 (Conv2d)"."""
        return self.label.rpartition(" (")[0] or self.label

    @property
    def kind(self) -> str:
        """Conv2d of "features.0 (Conv2d)"."""
        return self.label.rpartition(" (")[2].removesuffix(")")

    def chain(self) -> list[Layer]:
        """All layers around, the outermost first, and this one."""
        found: list[Layer] = []
        layer: Layer | None = self
        while layer is not None:
            found.append(layer)
            layer = layer.outer
        return found[::-1]


def places(nodes: tuple[GraphNode, ...]) -> list[Layer | None]:
    """For each node the call of the innermost layer around it, None outside of all.

    Gates stand in the layers that ran them. What serves gates stands where all the gates that it serves are: copy
    gates, constants, parameters. Inputs stand outside of all layers, but for arrays without a name that belong to a
    layer, such as the running mean of a batch normalization.
    """
    found = _gates(nodes)
    uses: list[list[int]] = [[] for _ in nodes]
    for node in nodes:
        for given in node.inputs:
            uses[given].append(node.id)
    fed = set()  # the layers that get a computed value from outside
    for node in nodes:
        for given in node.inputs:
            source = nodes[_origin(nodes, given)]
            if source.gate:
                fed |= _beyond(found[node.id], found[source.id])
    for node in reversed(nodes):
        if node.gate in (None, "copy"):
            place = _common([found[use] for use in uses[node.id]])
            if nodes[_origin(nodes, node.id)].op == "input":
                while place is not None and (node.name or place not in fed):
                    place = place.outer
            found[node.id] = place
    return found


def _origin(nodes: tuple[GraphNode, ...], i: int) -> int:
    """The node whose value a copy gate hands on."""
    return nodes[i].inputs[0] if nodes[i].gate == "copy" and nodes[i].inputs else i


def _beyond(inner: Layer | None, outer: Layer | None) -> set[Layer]:
    """The layers around the one and not around the other."""
    return set(_around(inner)) - set(_around(outer))


def _around(layer: Layer | None) -> Iterator[Layer]:
    while layer is not None:
        yield layer
        layer = layer.outer


def _common(layers: Iterable[Layer | None]) -> Layer | None:
    """The innermost layer around all of these."""
    layers = iter(layers)
    common = next(layers, None)
    for layer in layers:
        around = set(_around(layer))
        while common is not None and common not in around:
            common = common.outer
    return common


def _gates(nodes: tuple[GraphNode, ...]) -> list[Layer | None]:
    """The calls in which the gates stand: gates of one layer that are connected inside of it are of one call."""
    calls = [_Calls() for _ in range(max((len(node.layers) for node in nodes), default=0))]
    for node in nodes:
        if node.gate and node.gate != "copy":
            for given in node.inputs:
                source = nodes[_origin(nodes, given)]
                if source.gate:
                    for level, (one, other) in enumerate(zip(node.layers, source.layers, strict=False)):
                        if one != other:
                            break
                        calls[level].join(node.id, source.id)
    layers: dict[tuple[Layer | None, str, int], Layer] = {}
    places: list[Layer | None] = []
    for node in nodes:
        place: Layer | None = None
        if node.gate and node.gate != "copy":
            for level, label in enumerate(node.layers):
                key = place, label, calls[level].of(node.id)
                if key not in layers:
                    layers[key] = Layer(label, place)
                place = layers[key]
        places.append(place)
    _count(layers.values())
    return places


def _count(layers: Iterable[Layer]) -> None:
    """Number the calls of the same layer."""
    same: dict[tuple[Layer | None, str], list[Layer]] = {}
    for layer in layers:
        same.setdefault((layer.outer, layer.label), []).append(layer)
    for group in same.values():
        for turn, layer in enumerate(group, 1):
            layer.turn, layer.calls = turn, len(group)


class _Calls:
    """Numbers in groups that are joined: union-find."""

    def __init__(self) -> None:
        self._up: dict[int, int] = {}

    def of(self, i: int) -> int:
        """The number that stands for the group of i."""
        up = self._up
        while (above := up.get(i, i)) != i:
            up[i] = up.get(above, above)
            i = above
        return i

    def join(self, i: int, j: int) -> None:
        i, j = self.of(i), self.of(j)
        self._up[max(i, j)] = min(i, j)
