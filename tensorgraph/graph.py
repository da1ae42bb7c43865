"""Graph: what was recorded, as numbered gates with values and gradients, to be looked at.

What draws a graph is imported when it is asked for: a program that trains pays nothing for it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tensorgraph._context import current, located
from tensorgraph.errors import GradError
from tensorgraph.hooks import on_error
from tensorgraph.tensor import Tensor

if TYPE_CHECKING:
    from tensorgraph._memory import Held, Memory
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.checking.report import Report


class Graph:
    """A snapshot of a recorded computation; made by `tg.graph` and `tg.draw`.

    `nodes` holds what went in and every gate, numbered from 0, inputs before what uses them, the output last:
    `graph.nodes[i].id == i`. Each has

    - `id op gate name scope shape dtype value grad inputs options`;
    - `arguments`, what the operation calls its inputs, and `downstream`, the gradient it sends to each;
    - `layers`, all the layers around it, and `source`, its line of the program if `tg.record()` was on.

    A value used by several gates goes through a copy gate. Fused operations are opened. Nothing in it ever changes.
    """

    __slots__ = ("_held", "nodes")

    nodes: tuple[GraphNode, ...]

    def __init__(self, nodes: tuple[GraphNode, ...], held: tuple[Held, ...] = ()) -> None:
        self.nodes = nodes
        self._held = held  # the memory of the tape, where a fused operation is not opened

    @property
    def output(self) -> GraphNode:
        """The node whose gradients these are."""
        return self.nodes[-1]

    def check(self, *, seed: int = 0) -> Report:
        """Test the gradient rules of every gate by differences, at the very values that it saw.

        Each gate is run again in double precision, so that one wrong rule is found where it is and not where it shows;
        the gradients that it sent are compared with those too.

        Returns:
            A `Report` that says what was compared.

        Raises:
            GradientError: names the first gate, in the order of the tape, whose gradient is wrong. The error's `graph`
                is this one with the culprit marked.

        Example:
            >>> import tensorgraph as tg
            >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
            >>> tg.graph((tg.exp(x) * x).sum()).check()
            Report(checked=('exp', 'mul', 'sum'))
        """
        from tensorgraph._snapshot import marked
        from tensorgraph.checking.nodes import check_nodes
        from tensorgraph.checking.report import Report, failure

        culprit = check_nodes(self.nodes, seed=seed)
        if culprit is None:
            return Report(tuple(node.op for node in self.nodes if node.primitive is not None))
        again = f"graph.check(seed={seed})"
        error = failure("graph.check", culprit.finding.verdict, None, None, culprit, again)
        error.graph = Graph(marked(self.nodes, culprit.node, str(error)), self._held)
        raise error

    def memory(self) -> Memory:
        """The bytes that the tape held for the backward pass when the graph was taken, by operation and layer.

        Returns:
            A `Memory` with `total by_op by_layer parameters inputs`; printing it shows tables.

        Example:
            >>> import tensorgraph as tg
            >>> x = tg.zeros(1000, 1000, requires_grad=True)
            >>> y = tg.exp(x).reshape(-1)  # the reshaped array shares its memory
            >>> tg.graph(y).memory().by_op
            Counter({'exp': 4000000})
        """
        from tensorgraph._memory import Memory

        return Memory(self._held)

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"<Graph of {self.output.op!r}, {len(self)} nodes>"


def graph(output: Any, *, grads: bool = True) -> Graph:
    """What was recorded on the way to `output`: every gate, with its value and its gradient.

    It runs a reverse walk of its own, changes no `.grad` and frees nothing: `backward()` works afterwards as before.

    Arguments:
        output: a tensor that requires a gradient. Of one that is not a scalar, the gradients are those of its sum.
        grads: whether to run the walk; without it every gradient is None.

    Returns:
        A `Graph`; the output is its last node.

    Raises:
        GradError: nothing was recorded, or an earlier backward pass has freed the graph. TypeError: not a tensor.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor(3.0, requires_grad=True, name="x")
        >>> for node in tg.graph(x * x).nodes:
        ...     print(node.id, node.op, node.value, node.grad, node.inputs)
        0 parameter 3.0 6.0 ()
        1 copy 3.0 6.0 (0,)
        2 mul 9.0 1.0 (1, 1)

    Source: course, section 1, gates.
    """
    from tensorgraph._memory import held
    from tensorgraph._snapshot import snapshot

    if not isinstance(output, Tensor):
        raise located(TypeError, "graph", f"output must be a tensor, got {type(output).__name__}")
    nodes = snapshot(output, grads=grads)
    return Graph(nodes, held(output._node))  # type: ignore[arg-type]  # without a node snapshot has raised


def _attach_graph(error: Exception, what: Any, args: tuple[Any, ...]) -> None:
    """Give an error of a layer, or of what `tg.record()` watches, the graph up to the call that raised it."""
    if hasattr(error, "graph") or (current().scope is None and not current().lines):
        return
    from tensorgraph._snapshot import snapshot_up_to

    with suppress(GradError):  # part of the graph was freed: no picture, but the error itself counts
        error.graph = Graph(snapshot_up_to(what, args, error))  # type: ignore[attr-defined]


on_error.append(_attach_graph)
