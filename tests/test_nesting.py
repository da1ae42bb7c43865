"""Boxes around nodes: whatever is folded, the graph has no cycle, and no box holds a long row."""

from __future__ import annotations

from collections import Counter
from graphlib import TopologicalSorter

import numpy as np
import pytest

import nn
import tensorgraph as tg
from tensorgraph.drawing.nesting import LONG, nest


class SharedActivation(nn.Module):
    """One ReLU that runs between other layers, again and again."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])
        self.relu = nn.Sequential(nn.ReLU(), nn.Tanh())

    def forward(self, x):
        for layer in self.layers:
            x = self.relu(layer(x))
        return x


class Recurrent(nn.Module):
    """Weights that are shared by all steps."""

    def __init__(self):
        super().__init__()
        self.to_hidden, self.hidden = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        h = x
        for _ in range(4):
            h = tg.tanh(self.to_hidden(x) + self.hidden(h))
        return h


class Skips(nn.Module):
    """An encoder whose middle goes on inside and is used outside, too."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), nn.Linear(3, 3)

    def forward(self, x):
        middle, x = self.encoder(x)
        return self.decoder(x + middle) * middle


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        middle = tg.relu(self.first(x))
        return middle, tg.relu(self.second(middle))


def nodes_of(model):
    return tg.graph(model(tg.tensor(np.ones((2, 3), np.float32), name="x")).sum()).nodes


def chain(length):
    x = tg.tensor(1.0, requires_grad=True)
    for _ in range(length):
        x = tg.sin(x)
    return tg.graph(x).nodes


def around(box, boxes):
    """A box and all boxes around it."""
    found = []
    while box is not None:
        found.append(box)
        box = boxes[box].parent
    return found


@pytest.mark.parametrize("model", [SharedActivation, Recurrent, Skips])
def test_whatever_is_folded_the_graph_has_no_cycle(model):
    nodes = nodes_of(model())
    boxes, inside = nest(nodes)
    assert boxes
    depths = [len(around(i, boxes)) for i in range(len(boxes))]
    levels = [{i for i, depth in enumerate(depths) if depth == level} for level in set(depths)]
    for folded in [*levels, *({i} for i in range(len(boxes)))]:
        shown = [next((-1 - i for i in around(box, boxes)[::-1] if i in folded), k) for k, box in enumerate(inside)]
        edges = {shown[node.id]: set() for node in nodes}
        for node in nodes:
            edges[shown[node.id]] |= {shown[i] for i in node.inputs} - {shown[node.id]}
        assert len(edges) < len(nodes)
        TopologicalSorter(edges).prepare()  # raises CycleError


def test_a_skip_is_copied_in_the_layer_that_makes_it():
    nodes = nodes_of(Skips())
    boxes, inside = nest(nodes)
    (encoder,) = (i for i, box in enumerate(boxes) if box.label.startswith("encoder ("))
    assert [nodes[i].op for i, box in enumerate(inside) if box == encoder] == ["relu", "copy", "relu"]


def test_layers_nest_as_modules_do():
    net = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.Linear(3, 1))
    boxes, inside = nest(nodes_of(net))
    assert [(box.label, box.parent, box.cut) for box in boxes] == [
        ("Sequential", None, False),
        ("0 (Sequential)", 0, False),
        ("1 (Linear)", 0, False),
        ("0.0 (Linear)", 1, False),
    ]
    assert Counter(inside) == {3: 3, 1: 1, 2: 3, None: 2}  # tanh alone needs no box; x and the sum stand outside


@pytest.mark.parametrize("length", [LONG - 1, LONG, 5_000, 20_000])
def test_long_rows_are_cut(length):
    nodes = chain(length)
    boxes, inside = nest(nodes)
    parts = Counter(inside) + Counter(box.parent for box in boxes)
    assert max(parts.values()) <= LONG
    assert len(boxes) == 0 if length < LONG else min(parts.values()) > 1
    assert all(box.cut for box in boxes)
    assert all(box.parent is None or box.parent < i for i, box in enumerate(boxes))
