"""Every gate of a graph on its own: its gradient rules against differences, at the very values that it saw."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorgraph.checking.function import Function, random_weights
from tensorgraph.checking.verdict import Effort, Finding, judge

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode

LESS = Effort(
    small=16, samples=4, directions=2, parts=16
)  # there are many gates, and the next graph comes with other values
SINGLE = 2e-4  # of the largest gradient: what sums of float32 may be off
WITHOUT_SUMS = 0.02  # of that, where nothing is added up; and as much of the element itself as of the largest else
UNBLAMED = ("right", "precision", "kink")  # no rule can be blamed for the latter two


class NodeFinding(NamedTuple):
    """The finding for one gate."""

    node: GraphNode
    finding: Finding
    argument: str  # the name of the argument whose gradient it is about

    @property
    def right(self) -> bool:
        return self.finding.verdict in UNBLAMED


def check_nodes(nodes: Sequence[GraphNode], *, seed: int) -> NodeFinding | None:
    """The first gate, in the order of the tape, whose gradient is wrong; None if all are right."""
    arriving = _arriving(nodes)
    for node in nodes:
        found = None
        if node.primitive is not None and node.error is None:
            found = check_node(node, nodes, seed=seed)
        elif node.op == "copy" and node.grad is not None:
            found = NodeFinding(node, _sum_of(arriving[node.id], node.grad), "x")
        if found is not None and not found.right:
            return found
    return None


def _arriving(nodes: Sequence[GraphNode]) -> dict[int, list[Any]]:
    """The gradients that the gates sent to each node."""
    arriving: dict[int, list[Any]] = {node.id: [] for node in nodes}
    for node in nodes:
        for i, d in zip(node.inputs, node.downstream, strict=False):  # without gradients nothing was sent
            if d is not None:
                arriving[i].append(d)
    return arriving


def _sum_of(arrived: list[Any], grad: Any) -> Finding:
    """Whether what a copy gate hands on is the sum of what it got."""
    expected = np.sum(arrived, axis=0, dtype=np.float64)
    return _compared(grad, expected, 0, np.sum(np.abs(arrived), axis=0, dtype=np.float64))


def _compared(got: Any, expected: Any, argument: int, sizes: Any, *, summed: bool = True) -> Finding:
    """A gradient in the precision of the program and the same in double precision; `sizes` of what was added up."""
    precision = SINGLE if got.dtype == np.float32 else 1e-2 if got.dtype == np.float16 else 1e-9
    finite = np.isfinite(expected)
    with np.errstate(invalid="ignore"):
        apart = np.where(finite, np.abs(got - expected), 0.0)
    error = np.full(got.shape, precision * np.abs(sizes[finite]).max(initial=0.0) + np.finfo(got.dtype).tiny)
    if not summed:  # each element for itself
        error = WITHOUT_SUMS * error + precision * np.where(finite, np.abs(expected), 0.0)
    if (apart <= error).all():
        return Finding("right", argument)
    excess = np.where(np.isnan(apart), np.inf, apart - error)
    worst = np.unravel_index(int(excess.argmax()), got.shape)
    return Finding(
        "wrong", argument, tuple(map(int, worst)), float(got[worst]), float(expected[worst]), float(error[worst])
    )


def check_node(node: GraphNode, nodes: Sequence[GraphNode], *, seed: int) -> NodeFinding:
    """One gate: its rules in double precision against differences, and the gradients that it sent against its rules."""
    call = _Call(node, nodes)
    rng = np.random.default_rng((seed, node.id))
    outs = call.function.run()
    weights = random_weights(outs, rng)
    values = call.function.values()
    eps = call.function.rounding(outs)
    backward = functools.partial(call.function.gradients, outs)
    found = judge(call.function.arrays, values, weights, backward, rng=rng, effort=LESS, eps=eps)
    if found.verdict in UNBLAMED:
        found = call.sent(found)
    return NodeFinding(node, found, call.names[found.argument] if call.names else "")


class _Call:
    """The call of a gate again, in double precision, as a function of the arguments that have gradients."""

    def __init__(self, node: GraphNode, nodes: Sequence[GraphNode]) -> None:
        self.node = node
        primitive: Any = node.primitive
        given = {name: nodes[i].value for name, i in zip(node.arguments, node.inputs, strict=True)}
        names = list(node.arguments) if primitive.variadic else list(primitive.arguments)
        arguments = [_double(given[name]) if name in given else None for name in names]
        varies = {name for name, i in zip(node.arguments, node.inputs, strict=True) if _has_gradient(nodes[i])}
        chosen = [i for i, name in enumerate(names) if name in varies]
        self.names = [names[i] for i in chosen]
        self.function = Function(lambda *arrays: primitive(*arrays, **node.options), arguments, chosen)

    def sent(self, otherwise: Finding) -> Finding:
        """A gradient that the gate sent, in the precision of the program, and that is not that of its rules."""
        node, primitive = self.node, self.node.primitive
        if node.grad is None or primitive is None:
            return otherwise
        outs = self.function.run()
        expected = self.function.gradients(outs, [np.asarray(node.grad, np.float64)])
        for number, (name, d) in enumerate(zip(self.names, expected, strict=True)):
            got = node.downstream[node.arguments.index(name)]
            if got is None or not got.size:
                continue
            summed = not (primitive.elementwise and got.shape == node.grad.shape)
            found = _compared(got, d, number, d, summed=summed)
            if found.verdict != "right":
                return found
        return otherwise


def _has_gradient(node: GraphNode) -> bool:
    return node.gate is not None or node.grad is not None


def _double(value: Any) -> Any:
    return value.astype(np.float64) if value.dtype.kind == "f" else value
