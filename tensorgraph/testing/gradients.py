"""check_grads: is the gradient of a function right? It decides, and names the culprit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorgraph._context import located
from tensorgraph._snapshot import GraphNode, marked, snapshot
from tensorgraph.checking.function import Checked, Function, Gradient, random_weights
from tensorgraph.checking.nodes import NodeFinding, check_nodes
from tensorgraph.checking.report import Report, at_fault, failure
from tensorgraph.checking.verdict import Effort, judge
from tensorgraph.graph import Graph
from tensorgraph.tensor import Tensor


def check_grads(f: Callable[..., Any], *inputs: Any, order: int = 1, seed: int = 0) -> Report:
    """Compare the gradients of f with differences, and raise an error unless they are right.

    The function is run in double precision whatever the inputs are, with a random upstream gradient. Arguments of up
    to 64 elements are compared element by element; of larger ones 16 elements and 3 random directions, in which one
    wrong element in thousands shows, and is then found by halving. The tolerance follows from an estimate of the
    error of each difference, not from the size of the array.

    Arguments:
        f: a function of tensors that returns a tensor or several, or a module, whose parameters are checked too.
        inputs: its arguments: tensors, arrays, numbers. Arrays of floats are checked; if some tensors require
            gradients, only those; a number only if there is nothing else, as it may be a setting.
        order: 2 checks the gradients of the gradients too, and with them forward mode.
        seed: of the upstream gradients, the directions and the elements that are compared.

    Returns:
        A `Report` that says what was compared.

    Raises:
        GradientError: an AssertionError whose `verdict` is "wrong", "kink" (not differentiable there), "precision"
            (differences cannot tell there), "nondeterministic" or "not finite"; it names the worst element, both
            values, the operation at fault, and the line that repeats the check. Its `graph` is what was computed,
            with the operation at fault marked.

    Example:
        >>> import numpy as np, tensorgraph as tg
        >>> tg.testing.check_grads(lambda x: tg.sin(x) * x, np.array([0.5, 1.0, 2.0]))
        Report(checked=('input 0',))
        >>> try:
        ...     tg.testing.check_grads(tg.relu, np.array([1.0, 0.0]))
        ... except tg.testing.GradientError as error:
        ...     print(error.verdict, error.index)
        kink (1,)

    Source: Richardson, "The approximate arithmetical solution by finite differences", 1911.
    """
    if order not in (1, 2):
        raise located(ValueError, "check_grads", f"order must be 1 or 2, got {order!r}")
    function = Function(f, inputs, _chosen(inputs))
    if not function.variables:
        raise located(TypeError, "check_grads", "nothing to check: no input holds floats, and f has no parameters")
    with function.in_double(), np.errstate(all="ignore"):  # what is not finite gets a verdict
        checked = _check(function, "", seed)
        if order == 2:
            checked += _check(Gradient(function, np.random.default_rng((seed, 2))), ", second order", seed)
    return Report(checked)


def _chosen(inputs: Sequence[Any]) -> list[int]:
    """The positions of the inputs to check."""
    asked = [i for i, value in enumerate(inputs) if isinstance(value, Tensor) and value.requires_grad]
    floats = [
        i
        for i, value in enumerate(inputs)
        if isinstance(value, (Tensor, np.ndarray, list)) and np.dtype(getattr(value, "dtype", float)).kind == "f"
    ]
    return asked or floats or [i for i, value in enumerate(inputs) if isinstance(value, (float, np.floating))]


def _check(function: Checked, kind: str, seed: int) -> tuple[str, ...]:
    """Check one order of derivatives; returns the names of what was compared."""
    again = f"tg.testing.check_grads(f, ..., order={2 if kind else 1}, seed={seed})"
    rng = np.random.default_rng(seed)
    outs = function.run()
    values = function.values()
    if not _same([out._array for out in outs], function.arrays(values)):
        raise failure("check_grads", "nondeterministic", None, None, None, again)
    weights = random_weights(outs, rng)
    backward = functools.partial(function.gradients, outs)
    if not _same(backward(weights), backward(weights)):
        raise failure("check_grads", "nondeterministic", None, None, None, again)
    eps, noise = function.rounding(outs), function.noise(outs, weights)
    found = judge(function.arrays, values, weights, backward, rng=rng, effort=Effort(), eps=eps, noise=noise)
    if found.verdict != "right":
        nodes, culprit = _culprit(outs, weights, seed) if found.verdict != "precision" else ((), None)
        argument = function.names[found.argument] + kind
        if found.verdict == "kink" and culprit is not None:  # beside it, a gate is wrong
            error = failure("check_grads", culprit.finding.verdict, None, None, culprit, again)
        else:
            error = failure("check_grads", found.verdict, found, argument, culprit, again)
        if culprit is not None:
            error.graph = Graph(marked(nodes, culprit.node, at_fault(culprit)))
        raise error
    return tuple(name + kind for name in function.names)


def _same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True)
    )


def _culprit(
    outs: Sequence[Tensor], weights: Sequence[Any], seed: int
) -> tuple[tuple[GraphNode, ...], NodeFinding | None]:
    """The first gate on the way to the results whose gradient is wrong on its own, and the graph that it is in."""
    for out, weight in zip(outs, weights, strict=True):
        if out.requires_grad:
            nodes = snapshot(out, grads=True, upstream=weight.astype(out.dtype))
            if (found := check_nodes(nodes, seed=seed)) is not None:
                return nodes, found
    return (), None
