"""The reverse walk: call the gradient rules from the outputs back to the leaves, add up what arrives at each value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from tensorgraph import hooks, kernels
from tensorgraph._broadcast import sum_to
from tensorgraph._context import current, enable_grad
from tensorgraph._primitive import Rule, astype
from tensorgraph._tape import Node, Traced, count_uses, topological_order
from tensorgraph.errors import GradError
from tensorgraph.kernels._choice import LARGE

ndarray = np.ndarray  # one look-up instead of two, in the loop over all edges


def walk(
    seeds: dict[Node, Any],
    *,
    wanted: Sequence[Node] | None = None,
    retain_graph: bool = False,
    create_graph: type[Traced] | None = None,
) -> dict[Node, Any]:
    """Carry gradients from the seeds back along the tape; free what was walked.

    Arguments:
        seeds: the gradient of each output node, in its shape and type.
        wanted: the nodes whose gradients to return; None means all leaves. Only what leads to them is walked.
        retain_graph: do not free what was walked.
        create_graph: the tensor class that the rules work on, so that the gradients are recorded in turn; None runs
            them on arrays.

    Returns:
        The gradient of each wanted node that was reached.

    Raises:
        GradError: the graph was freed before, or a rule is missing or returned something impossible. Nothing has
            changed then: the graph is freed only after the last rule has run.
    """
    if not current().recording:  # the rules record what they do on tensors, nothing on arrays
        with enable_grad():
            return walk(seeds, wanted=wanted, retain_graph=retain_graph, create_graph=create_graph)
    uses = count_uses(seeds, wanted or ())
    needed = None if wanted is None else leading_to(wanted, topological_order(seeds, wanted))
    pending = dict(seeds)
    found: dict[Node, Any] = {}
    order = [node for node in seeds if not uses[node]]
    with np.errstate(all="ignore"):  # infinite gradients, as of sqrt at 0, are no surprise
        for node in order:  # grows while it runs: a node joins when all its uses have sent their gradients
            if node.primitive is None:
                continue
            g = pending.pop(node, None)
            if g is not None and wanted is not None and node in wanted:
                found[node] = g
            parents = node.parents
            if g is None or (needed is not None and needed.isdisjoint(parents)):
                downstream: Iterable[Any] = repeat(None)
            else:
                arrays, out = (node.arrays, node.out) if create_graph is None else _as_tensors(node, create_graph)
                at_once = node.primitive.vjp_arrays is not None and type(g) is ndarray
                carry = _downstream_at_once if at_once else _downstream
                downstream = carry(node, g, out, arrays, parents, needed)
                if hooks.on_backward:
                    for watcher in hooks.on_backward:
                        watcher(node, g, downstream)
            for parent, d in zip(parents, downstream):
                if parent is not None:
                    if d is not None:
                        pending[parent] = _sum(pending[parent], d) if parent in pending else d
                    if uses[parent] > 1:
                        uses[parent] -= 1
                    elif parent.primitive is not None:  # what a leaf gets stays pending
                        order.append(parent)
    if not retain_graph:
        for node in order:
            if needed is None or not needed.isdisjoint(node.parents):
                node.free()
    return pending if wanted is None else found | {node: pending[node] for node in wanted if node in pending}


def _sum(x: Any, y: Any) -> Any:
    """The copy gate: gradients from several uses are added."""
    if type(x) is ndarray and type(y) is ndarray and x.size >= LARGE:
        return kernels.add(x, y)
    total = x + y
    return np.asarray(total) if isinstance(total, np.generic) else total  # of arrays without axes NumPy makes a number


def leading_to(wanted: Sequence[Node], order: list[Node]) -> set[Node]:
    """The nodes from which a wanted node can be reached, itself included."""
    needed = set(wanted)
    for node in reversed(order):  # parents first
        if not needed.isdisjoint(node.parents):
            needed.add(node)
    return needed


def _as_tensors(node: Any, kind: type[Traced]) -> tuple[list[Any], Any]:
    """The arguments and the result of a node as tensors that continue its graph; constants stay arrays."""
    arrays = [
        x if parent is None else kind._wrap(x, parent) for x, parent in zip(node.arrays, node.parents, strict=True)
    ]
    return arrays, kind._wrap(node.out, node)


def _downstream(
    node: Any, g: Any, out: Any, arrays: Sequence[Any], parents: Sequence[Node | None], needed: set[Node] | None
) -> list[Any]:
    """The gradient for each parent of the node by its rules, None where there is none."""
    downstream: list[Any] = []
    rules = node.primitive.rules
    if rules is None or node.primitive.variadic:
        rules = _spelled_rules(node)
    options = node.options
    for parent, rule, x in zip(parents, rules, arrays):
        if parent is None or (needed is not None and parent not in needed):
            downstream.append(None)
            continue
        if rule is None:
            name = node.primitive.argument(len(downstream))
            raise GradError(f"{place(node)}: not differentiable with respect to {name}; detach() it")
        try:
            d = rule(g, out, *arrays, **options) if options else rule(g, out, *arrays)
        except Exception as error:
            error.add_note(f"in {place(node)}: the gradient rule for {node.primitive.argument(len(downstream))}")
            raise
        if type(d) is not ndarray or d.shape != x.shape or d.dtype is not x.dtype:
            d = _fitted(d, node, len(downstream), g)
        downstream.append(d)
    return downstream


def _downstream_at_once(
    node: Any, g: Any, out: Any, arrays: Sequence[Any], parents: Sequence[Node | None], needed: set[Node] | None
) -> list[Any]:
    """`_downstream` by the one rule that gives all gradients, on arrays; it may give more than is wanted."""
    wanted = [parent is not None for parent in parents] if needed is None else [parent in needed for parent in parents]
    try:
        found = node.primitive.vjp_arrays(wanted, g, out, *arrays, **node.options)
    except Exception as error:
        error.add_note(f"in {place(node)}: the gradient rule for all its arguments")
        raise
    downstream: list[Any] = []
    for d, asked, x in zip(found, wanted, arrays):
        if not asked:
            d = None
        elif type(d) is not ndarray or d.shape != x.shape or d.dtype is not x.dtype:
            d = _fitted(d, node, len(downstream), g)
        downstream.append(d)
    return downstream


def _spelled_rules(node: Any) -> Sequence[Rule | None]:
    """One rule for each argument of a variadic call, which has one rule for all; an error if there are no rules."""
    name, rules = node.primitive.name, node.primitive.rules
    if rules is None:
        raise GradError(f"{place(node)}: has no gradient rules; give them with {name}.vjp(argument=rule, ...)")
    return [rules[0] and partial(rules[0], i) for i in range(len(node.parents))]


def _fitted(d: Any, node: Any, i: int, g: Any) -> Any:
    """What a rule returned, in the shape and type of the argument; an error if it cannot be that."""
    x = node.arrays[i]
    if d is None:
        name = node.primitive.argument(i)
        raise GradError(
            f"{place(node)}: the gradient rule for {name} returned None; return the gradient, zeros where there is "
            f"none, or give None in place of the rule if {name} is not differentiable"
        )
    if isinstance(d, Traced) and not isinstance(g, Traced):
        d = d._array  # a rule that works on a tensor of its own
    if not isinstance(d, (Traced, np.ndarray)):
        d = np.asarray(d)
    if d.shape != x.shape:
        if not node.primitive.elementwise or d.shape != g.shape:
            raise GradError(
                f"{place(node)}: the gradient rule for {node.primitive.argument(i)} returned shape {d.shape} "
                f"for an argument of shape {x.shape}"
            )
        d = sum_to(d, shape=x.shape)
    return d if d.dtype == x.dtype else astype(d, dtype=x.dtype)


def place(node: Any) -> str:
    """Where the node was recorded, for messages."""
    layer = "" if node.scope is None else f"{node.scope}: "
    line = "" if node.source is None else f" (recorded at {node.source})"
    return f"{layer}{node.primitive.name}{line}"
