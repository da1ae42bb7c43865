"""Graph: what was recorded, as numbered gates with values and gradients, to be looked at.

What draws a graph is imported when it is asked for: a program that trains pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tensorgraph._context import current, located, running
from tensorgraph.errors import GradError
from tensorgraph.hooks import on_error
from tensorgraph.tensor import Tensor

if TYPE_CHECKING:
    import os

    from tensorgraph._memory import Held, Memory
    from tensorgraph._snapshot import GraphNode
    from tensorgraph.checking.report import Report
    from tensorgraph.drawing.view import View


class Graph:
    """A snapshot of a recorded computation; made by `tg.graph` and `tg.draw`.

    `nodes` holds what went in and every gate, numbered from 0, inputs before what uses them, the output last:
    `graph.nodes[i].id == i`. Each has

    - `id op gate name scope shape dtype value grad inputs options`;
    - `arguments`, what the operation calls its inputs, and `downstream`, the gradient it sends to each;
    - `layers`, all the layers around it, and `source`, its line of the program if `tg.record()` was on.

    A value used by several gates goes through a copy gate. Fused operations are opened. Nothing in it ever changes.
    """

    __slots__ = ("_held", "_view", "nodes")

    nodes: tuple[GraphNode, ...]

    def __init__(self, nodes: tuple[GraphNode, ...], held: tuple[Held, ...] = (), view: View | None = None) -> None:
        self.nodes = nodes
        self._held = held  # the memory of the tape, where a fused operation is not opened
        self._view = view  # how it is drawn where the options of `to_dot`, `to_text` and `save` do not say otherwise

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
        from tensorgraph.checking.report import Report, at_fault, failure

        culprit = check_nodes(self.nodes, seed=seed)
        if culprit is None:
            return Report(tuple(node.op for node in self.nodes if node.primitive is not None))
        again = f"graph.check(seed={seed})"
        error = failure("graph.check", culprit.finding.verdict, None, None, culprit, again)
        error.graph = Graph(marked(self.nodes, culprit.node, at_fault(culprit)), self._held)
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

    # --- pictures ---

    def to_dot(self, **options: Any) -> str:
        """The picture as DOT text, which Graphviz draws; the same graph always gives the same text.

        Arguments:
            options: values, grads, depth, max_nodes, expand, as in `tg.draw`.

        Example:
            >>> import tensorgraph as tg
            >>> x = tg.tensor(3.0, requires_grad=True, name="x")
            >>> tg.graph(x * 2.0).to_dot().splitlines()[0]
            'digraph tensorgraph {'
        """
        from tensorgraph.drawing.dot import dot

        return dot(self.nodes, self._seen(options))

    def to_text(self, **options: Any) -> str:
        """The picture as a table of text, a line for each gate and each value that went in.

        Arguments:
            options: values, grads, depth, max_nodes, expand, as in `tg.draw`.

        Example:
            >>> import tensorgraph as tg
            >>> x = tg.tensor(3.0, requires_grad=True, name="x")
            >>> print(tg.graph(x * 2.0).to_text())
            node  name  operation  rule    inputs  value  gradient
               0  x     parameter                  3.0    2.0
               1        constant                   2.0
               2        mul        swaps   0 1     6.0    1.0
        """
        from tensorgraph.drawing.text import text

        return text(self.nodes, self._seen(options))

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the picture to a file, in the format that its suffix names. A file of that name is replaced.

        Arguments:
            path: ends with .svg, .png or .pdf, which Graphviz draws, or with .dot, .txt or .html, which need nothing.
            options: values, grads, depth, max_nodes, expand, as in `tg.draw`; .html shows everything.

        Raises:
            ValueError: another suffix. OSError: the file cannot be written. RuntimeError: Graphviz is missing.
        """
        from tensorgraph.drawing.files import save

        save(self.nodes, path, self._seen(options))

    def _repr_svg_(self) -> str | None:
        """What a notebook shows; without Graphviz it shows the `repr`."""
        from tensorgraph.drawing.render import GraphvizMissingError, render

        try:
            return render(self.to_dot(), "svg").decode()
        except GraphvizMissingError:
            return None

    def _seen(self, options: dict[str, Any]) -> View:
        from tensorgraph.drawing.view import View

        return View.of(options, self._view or View())


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


def draw(
    output: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    values: bool = True,
    grads: bool = True,
    depth: int | None = None,
    max_nodes: int = 60,
    expand: str | Sequence[str] = (),
) -> Graph:
    """A picture of how `output` was computed: every gate, the values on the way and the gradients on the way back.

    In a notebook the result shows itself. A picture is bounded: layers are folded until it is small enough, equal
    layers in a row become one box with a count, and if that is not enough, a box says how many nodes it hides.

    Arguments:
        output: a tensor that requires a gradient; see `tg.graph`.
        path: the file to write: .svg .png .pdf .dot .html .txt; see `Graph.save`.
        values: whether forward values are shown. grads: whether gradients are computed and shown.
        depth: how many levels of layers are open, 0 for none; None for as many as fit.
        max_nodes: so many things are shown at most.
        expand: names of layers, operations or values to be shown whatever is folded: "features.0", "Linear", "add".

    Returns:
        The `Graph`, which keeps these options for `save`, `to_dot` and `to_text`.

    Raises:
        As `tg.graph` and `Graph.save`; ValueError where `expand` names nothing.

    Example:
        >>> import os, tempfile, tensorgraph as tg
        >>> x = tg.tensor(3.0, requires_grad=True, name="x")
        >>> tg.draw(x * x + 1.0, os.path.join(tempfile.mkdtemp(), "square.dot"))
        <Graph of 'add', 5 nodes>

    Source: course, section 1, gates.
    """
    from tensorgraph.drawing.files import check
    from tensorgraph.drawing.view import View

    options = {"values": values, "grads": grads, "depth": depth, "max_nodes": max_nodes, "expand": expand}
    view = View.of(options)  # mistakes are found before the work
    if path is not None:
        check(path)
    drawn = graph(output, grads=grads)
    drawn._view = view
    if path is not None:
        drawn.save(path)
    return drawn


def _attach_graph(error: Exception, what: Any, args: tuple[Any, ...]) -> None:
    """Give an error of a layer, or of what `tg.record()` watches, the graph up to the call that raised it."""
    if hasattr(error, "graph") or (running() is None and not current().lines):
        return
    from tensorgraph._snapshot import snapshot_up_to

    with suppress(GradError):  # part of the graph was freed: no picture, but the error itself counts
        error.graph = Graph(snapshot_up_to(what, args, error))  # type: ignore[attr-defined]


on_error.append(_attach_graph)
