"""One element of a gradient worked out, as on a blackboard: the upstream gradients times what they meet, summed.

dL/dF[0, 1] = 0.2 * (-1) + (-0.1) * 1 = -0.3
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph.drawing.digits import is_small
from tensorgraph.drawing.equations import Equation, Operand

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode

PRODUCTS = {"matmul": ("x", "y"), "linear": ("x", "w"), "conv2d": ("x", "w")}  # linear in each of these arguments
_TERMS = 9  # the longest sum that is shown


def element(node: GraphNode, arrays: Mapping[str, Any], name: str, whole: Equation) -> Equation | None:
    """The first of those whose sums have the most terms; None if all sums are zero or too long."""
    upstream: Any = node.grad
    if name not in PRODUCTS.get(node.op, ()) or not whole.is_small or whole.result.size < 2 or not is_small(upstream):
        return None
    best: list[tuple[Any, Any]] = []  # (upstream, what it meets) for each term
    place = 0
    for i in range(whole.result.size):
        met = _meets(node, arrays, name, i)
        terms = [(g, d) for g, d in zip(upstream.ravel(), met.ravel(), strict=True) if g and d]
        if len(best) < len(terms) <= _TERMS:
            best, place = terms, i
    if not best:
        return None
    operands: dict[str, Operand] = {}
    for k, (g, d) in enumerate(best):
        operands |= {f"g{k}": Operand(None, np.asarray(g)), f"d{k}": Operand(None, np.asarray(d))}
    template = " + ".join(f"{{g{k}}} * {{d{k}}}" for k in range(len(best)))
    lead = next(axis for axis, size in enumerate(whole.result.shape) if size > 1)
    index = ", ".join(str(int(k)) for k in np.unravel_index(place, whole.result.shape)[lead:])
    left = whole.left._replace(name=f"{whole.left.name}[{index}]")
    return Equation(left, template, operands, np.asarray(whole.result.flat[place]))


def _meets(node: GraphNode, arrays: Mapping[str, Any], name: str, i: int) -> Any:
    """How the elements of the result change with the i-th element of an argument: what upstream is multiplied with."""
    unit = np.zeros_like(arrays[name])
    unit.flat[i] = 1
    primitive: Any = node.primitive
    given = [unit if argument == name else arrays[argument] for argument in PRODUCTS[node.op]]
    with np.errstate(all="ignore"):
        return np.asarray(primitive.forward(*given, **node.options))
