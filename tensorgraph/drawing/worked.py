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
    """The element whose sum has the most terms; None where a sum would be too long, or teach nothing."""
    upstream: Any = node.grad
    if name not in PRODUCTS.get(node.op, ()) or not whole.is_small or whole.result.size < 2 or not is_small(upstream):
        return None
    local = [_meets(node, arrays, name, i) for i in range(whole.result.size)]
    terms = [int(np.count_nonzero(met)) for met in local]
    count, i = max((count if count <= _TERMS else 0, -i) for i, count in enumerate(terms))
    if count < 2:
        return None
    operands: dict[str, Operand] = {}
    for k, (g, d) in enumerate(zip(upstream.ravel(), local[-i].ravel(), strict=True)):
        if d:
            operands |= {f"g{k}": Operand(None, np.asarray(g)), f"d{k}": Operand(None, np.asarray(d))}
    names = list(operands)
    template = " + ".join(f"{{{g}}} * {{{d}}}" for g, d in zip(names[::2], names[1::2], strict=True))
    place = np.unravel_index(-i, whole.result.shape)
    lead = next(axis for axis, size in enumerate(whole.result.shape) if size > 1)
    index = ", ".join(str(int(k)) for k in place[lead:])
    left = whole.left._replace(name=f"{whole.left.name}[{index}]")
    return Equation(left, template, operands, np.asarray(whole.result[place]))


def _meets(node: GraphNode, arrays: Mapping[str, Any], name: str, i: int) -> Any:
    """How the elements of the result change with the i-th element of an argument: what upstream is multiplied with."""
    unit = np.zeros_like(arrays[name])
    unit.flat[i] = 1
    primitive: Any = node.primitive
    given = [unit if argument == name else arrays[argument] for argument in PRODUCTS[node.op]]
    with np.errstate(all="ignore"):
        return np.asarray(primitive.forward(*given, **node.options))
