"""A snapshot of what was recorded: every value, every gate and every gradient, in numbered nodes that never change.

The tape serves the walk; this serves people. Nodes are numbered in an order in which one would compute them by hand
(inputs first, in the order of the arguments), a value that is used several times goes through a copy gate, and a fused
operation is opened into the operations it stands for. Everything that shows or checks a graph reads this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from tensorgraph import hooks
from tensorgraph._backward import walk
from tensorgraph._context import Source, enable_grad, label_of, running, scope, user_line
from tensorgraph._primitive import Primitive
from tensorgraph._tape import Array, Call, Leaf, Node, named, topological_order
from tensorgraph.errors import GradError
from tensorgraph.tensor import Tensor


@dataclass(frozen=True, eq=False, slots=True)
class GraphNode:
    """One gate of a graph, or one value that went in.

    A value that went in has no gate. Its `op` says what it is: "parameter" is learned, "input" is data, "constant" is a
    number of the program. Arrays are read-only. The call in which an error was raised has the `error`, and no value
    unless the value is the mistake.
    """

    id: int  # its place in graph.nodes
    op: str  # the operation, "copy" for a copy gate
    gate: str | None  # add, mul, copy, max, function or wire
    name: str | None  # the user's name for it, or a parameter's path in its module
    value: Array | None
    scope: str | None = None  # the layer that was running, such as "features.0 (Conv2d)"
    layers: tuple[str, ...] = ()  # that layer after all that contain it, the outermost first
    grad: Array | None = None  # of the output by this value; None where none arrives
    inputs: tuple[int, ...] = ()  # the ids of the nodes whose values went in
    arguments: tuple[str, ...] = ()  # what the operation calls them
    downstream: tuple[Array | None, ...] = ()  # the gradient that this gate sends back to each of them
    options: dict[str, Any] = field(default_factory=dict)  # the other arguments, such as axis=0
    source: Source | None = None  # the line of the program, recorded inside `with tg.record():`
    error: str | None = None
    primitive: Primitive | None = None
    saved: dict[str, Any] = field(default_factory=dict)  # what it kept beside its result for its gradient rules

    @property
    def shape(self) -> tuple[int, ...] | None:
        return None if self.value is None else self.value.shape

    @property
    def dtype(self) -> np.dtype[Any] | None:
        return None if self.value is None else self.value.dtype

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        end = f"shape {self.shape}" if self.error is None else f"error: {self.error}"
        return f"<GraphNode {self.id}: {self.op}{name}, {end}>"


def snapshot(output: Tensor, *, grads: bool, upstream: Array | None = None) -> tuple[GraphNode, ...]:
    """The nodes of the graph that ends in `output`, its own node last; see `tg.graph`. `upstream` is ones if None."""
    root = output._node
    if root is None:
        raise GradError(
            "graph: nothing was recorded: the tensor requires no gradient. "
            "Give what it is computed from requires_grad=True, outside of no_grad()"
        )
    tape = _Tape(root, output._array)
    seed = np.ones_like(output._array) if upstream is None else upstream
    return tuple(_numbered(tape, _Gradients(tape, root, seed) if grads else None))


def snapshot_up_to(what: Any, args: tuple[Any, ...], error: Exception) -> tuple[GraphNode, ...]:
    """The nodes that the call `what(*args)` used, and the call itself, which raised the error, last."""
    return tuple(_numbered(_Tape(_Failure(what, args, error), None)))


def snapshot_at(node: Node, error: Exception) -> tuple[GraphNode, ...]:
    """The nodes up to one in which something went wrong."""
    nodes = tuple(_numbered(_Tape(node, node.out)))
    return marked(nodes, nodes[-1], str(error))


def marked(nodes: tuple[GraphNode, ...], culprit: GraphNode, error: str) -> tuple[GraphNode, ...]:
    """The same nodes, with what is wrong written on one of them."""
    return tuple(replace(node, error=error) if node is culprit else node for node in nodes)


# --- what was recorded, with fused operations opened ------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class _Constant:
    """A value without a node: an array, or a number of the program."""

    op: str
    value: Any


class _Failure(Call):
    """A call that raised an error, as if it had been recorded."""

    __slots__ = ("error", "label")

    def __init__(self, what: Any, args: tuple[Any, ...], error: Exception) -> None:
        self.primitive = what if isinstance(what, Primitive) else None
        self.label = what.name if isinstance(what, Primitive) else str(what)
        self.arrays = tuple(arg._array if isinstance(arg, Tensor) else _number(arg) for arg in args)
        self.parents = tuple(arg._node if isinstance(arg, Tensor) else None for arg in args)
        self.options = {}
        self.scope = running()
        self.source = user_line()
        self.out = self.name = None
        self.error = str(error)


def _number(arg: Any) -> Any:
    """An argument as the tape would keep it, None if it could not."""
    return arg if isinstance(arg, (np.ndarray, np.generic, int, float)) else None


_Vertex = Node | _Constant


class _Tape:
    """The recorded nodes and the constants, each after its inputs."""

    def __init__(self, root: Node, value: Array | None) -> None:
        self.opened: dict[Node, Node] = {}  # a fused operation -> the last of those that it stands for
        self.stand_ins: dict[Node, list[Node | None]] = {}  # a fused operation -> a leaf for each of its inputs
        self._alias: dict[Node, Node] = {}  # a leaf made to open a fused operation -> the node that it stands for
        self._constants: dict[Any, _Constant] = {}  # by the identity of an array: used twice, it is one vertex
        self.values: dict[Node, Array | None] = {}  # as they were used: a leaf does not keep its own
        self.root = self._shown(root)
        self.values[self.root] = value
        self.order = list(self._in_order())

    def _shown(self, node: Node) -> Node:
        """The node that stands for this one in the graph."""
        node = self._alias.get(node, node)
        if node.freed:
            raise GradError(
                f"graph: the graph at {node.op!r} was freed by an earlier backward pass; "
                "take the graph before it, or call backward(retain_graph=True)"
            )
        if node.primitive is None or node.primitive.opened is None:
            return node
        if node not in self.opened:
            self.opened[node] = self._open(node)
        return self.opened[node]

    def _open(self, fused: Any) -> Node:
        """Run a fused operation again gate by gate, from leaves that stand for its inputs."""
        arrays = list(fused.arrays)
        for i, parent in enumerate(fused.parents):
            if isinstance(arrays[i], np.ndarray):
                arrays[i] = Tensor._wrap(arrays[i])  # the same array: a raw one would be copied
                arrays[i].requires_grad = parent is not None
            if parent is not None:
                self._alias[arrays[i]._node] = parent
        self.stand_ins[fused] = [None if parent is None else arrays[i]._node for i, parent in enumerate(fused.parents)]
        with enable_grad(), scope(fused.scope):
            last: Node = fused.primitive.opened(*arrays, **fused.options)._node
        steps = [node for node in reversed(topological_order([last])) if node.primitive is not None]
        layers = getattr(fused.scope, "steps", ())  # those of the steps, if different layers were fused
        # The flatten of an input that requires no gradient is not recorded: it is no step, and its layer the first.
        for step, layer in zip_longest(steps, layers[-len(steps) :], fillvalue=fused.scope):
            step.scope, step.source = layer, fused.source
        last.name = fused.name
        return last

    def arguments(self, node: Node) -> Iterator[tuple[int, _Vertex]]:
        """(the number of the argument, what went in) for every argument but missing ones, such as no bias."""
        for i, (parent, value) in enumerate(zip(node.parents, node.arrays, strict=True)):
            if parent is not None:
                shown = self._shown(parent)
                self.values.setdefault(shown, value)
                yield i, shown
            elif isinstance(value, np.ndarray):
                yield i, self._constants.setdefault(id(value), _Constant("input", value))
            elif value is not None:
                yield i, self._constants.setdefault((node, i), _Constant("constant", np.asarray(value)))

    def _inputs(self, vertex: _Vertex) -> Iterator[_Vertex]:
        if isinstance(vertex, Node):
            for _, given in self.arguments(vertex):
                yield given

    def _in_order(self) -> Iterator[_Vertex]:
        """Depth first without recursion: each vertex once, after its inputs."""
        met: set[_Vertex] = {self.root}
        path: list[tuple[_Vertex, Iterator[_Vertex]]] = [(self.root, self._inputs(self.root))]
        while path:
            vertex, inputs = path[-1]
            for given in inputs:
                if given not in met:
                    met.add(given)
                    path.append((given, self._inputs(given)))
                    break
            else:
                path.pop()
                yield vertex


# --- the reverse walk, watched ----------------------------------------------------------------------------------------


class _Gradients:
    """The gradient that arrives at every node, and those that leave it."""

    def __init__(self, tape: _Tape, root: Node, upstream: Array) -> None:
        self.arriving: dict[Node, Any] = {}
        self.leaving: dict[Node, list[Any]] = {}
        self._known = {*tape.order, *tape.opened}
        with hooks.watch(backward=self._collect):
            self.arriving |= walk({root: upstream}, retain_graph=True)  # the leaves': no rule runs there
            for fused, last in tape.opened.items():
                if fused in self.arriving:
                    walk({last: self.arriving[fused]}, retain_graph=True)
                    self._put_what_was_sent(tape, fused, last)

    def _put_what_was_sent(self, tape: _Tape, fused: Any, last: Node) -> None:
        """To its inputs a fused operation sent what its own rule gave, and not what its steps would have sent."""
        steps = [step for step in topological_order([last]) if step in self.leaving]
        uses = Counter(parent for step in steps for parent in step.parents)
        sent = dict(zip(tape.stand_ins[fused], self.leaving[fused], strict=True))
        for step in steps:
            self.leaving[step] = [
                sent[parent] if parent in sent and uses[parent] == 1 else d
                for parent, d in zip(step.parents, self.leaving[step], strict=True)
            ]

    def _collect(self, node: Node, upstream: Any, downstream: list[Any]) -> None:
        if node in self._known:  # not the node of a walk in another thread
            self.arriving[node] = upstream
            self.leaving[node] = downstream


# --- numbers ----------------------------------------------------------------------------------------------------------


def _numbered(tape: _Tape, gradients: _Gradients | None = None) -> Iterator[GraphNode]:
    """The nodes of the graph, with a copy gate behind every value that more than one gate uses."""
    arriving = gradients.arriving if gradients else {}
    leaving = gradients.leaving if gradients else {}
    uses = Counter(given for node in tape.order if isinstance(node, Node) for _, given in tape.arguments(node))
    labels = _Labels(tape)
    ids: dict[_Vertex, int] = {}  # of the node that hands the value on
    count = 0
    for vertex in tape.order:
        if isinstance(vertex, _Constant):
            yield GraphNode(count, vertex.op, None, labels.constant(vertex), _fixed(vertex.value))
            ids[vertex] = count
            count += 1
            continue
        arguments = list(tape.arguments(vertex))
        sent = leaving.get(vertex, [None] * len(vertex.parents))
        grad = _fixed(arriving.get(vertex))
        value = _fixed(tape.values[vertex])
        kept = vertex.primitive.saves if vertex.primitive else ()
        options = vertex.options or {}
        layers = labels.layers(labels.place(vertex))
        yield GraphNode(
            count,
            labels.op(vertex),
            vertex.gate,
            labels.name(vertex),
            value,
            scope=layers[-1] if layers else None,
            layers=layers,
            grad=grad,
            inputs=tuple(ids[given] for _, given in arguments),
            arguments=tuple(vertex.primitive.argument(i) if vertex.primitive else "x" for i, _ in arguments),
            downstream=tuple(_fixed(sent[i]) if isinstance(given, Node) else None for i, given in arguments),
            options={name: option for name, option in options.items() if name not in kept},
            source=vertex.source,
            error=vertex.error if isinstance(vertex, _Failure) else None,
            primitive=vertex.primitive,
            saved={name: options[name] for name in kept if name in options},
        )
        if uses[vertex] > 1:
            count += 1
            yield GraphNode(
                count, "copy", "copy", None, value, grad=grad, inputs=(count - 1,), arguments=("x",), downstream=(grad,)
            )
        ids[vertex] = count
        count += 1


class _Labels:
    """What nodes are called: layers and paths are looked up once for each place, not for each node."""

    def __init__(self, tape: _Tape) -> None:
        self._known: dict[Any, Any] = {}
        self._layers: dict[int, tuple[str, ...]] = {id(None): ()}  # by identity: a label can be any object
        self._constants = {key: name for (key, name), array in list(named.items()) if key == id(array)}
        self._paths: dict[Node, str] = {}  # of the parameters of modules
        self._places: dict[Node, Any] = {}  # the layers that use them first
        for node in tape.order:
            if isinstance(node, Node) and (path_of := getattr(node.scope, "path_of", None)) is not None:
                for _, given in tape.arguments(node):
                    if (
                        isinstance(given, Leaf)
                        and given not in self._paths
                        and (path := path_of(given.tensor(), self._known))
                    ):
                        self._paths[given] = path
                        self._places[given] = node.scope

    def place(self, node: Node) -> Any:
        """The layer that ran the operation; for a parameter, the one that uses it."""
        return self._places.get(node, node.scope)

    def layers(self, place: Any) -> tuple[str, ...]:
        if id(place) not in self._layers:
            self._layers[id(place)] = (*self.layers(getattr(place, "outer", None)), label_of(place, self._known))
        return self._layers[id(place)]

    def op(self, node: Node) -> str:
        """A leaf is learned if a module has it; in a program without modules, all that ask for a gradient are."""
        if isinstance(node, _Failure):
            return node.label
        if node.primitive is not None:
            return node.primitive.name
        return "parameter" if node in self._paths or not self._paths else "input"

    def name(self, node: Node) -> str | None:
        return node.name or self._paths.get(node)

    def constant(self, constant: _Constant) -> str | None:
        return self._constants.get(id(constant.value))


def _fixed(value: Any) -> Any:
    """The same array, to be read only."""
    if value is None:
        return None
    view = np.asarray(value).view()
    view.flags.writeable = False
    return view
