"""How gates are named in pictures: a symbol for the operation, and its rule in a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tensorgraph.drawing.numbers import number

if TYPE_CHECKING:
    from tensorgraph._snapshot import GraphNode

SYMBOLS = {
    "add": "+",
    "sub": "−",
    "mul": "×",
    "div": "÷",
    "neg": "−x",
    "pow": "xʸ",
    "sqrt": "√",
    "exp": "eˣ",
    "sum": "Σ",
    "matmul": "@",
    "sigmoid": "σ",
    "maximum": "max",
    "minimum": "min",
}
RULES = {
    "add": "distributes",
    "mul": "swaps",
    "copy": "adds",
    "max": "routes",
    "wire": "rearranges",
}
LOCAL = {  # the derivative of a function gate, where it is one formula
    "abs": "sign(x)",
    "arctan": "1/(1+x²)",
    "cos": "−sin x",
    "exp": "eˣ",
    "expm1": "eˣ",
    "log": "1/x",
    "log1p": "1/(1+x)",
    "neg": "−1",
    "pow": "y·xʸ⁻¹",
    "sigmoid": "σ(1−σ)",
    "sin": "cos x",
    "softmax_cross_entropy": "softmax − target",
    "softplus": "σ(x)",
    "sqrt": "1/(2√x)",
    "tan": "1+tan²x",
    "tanh": "1−tanh²x",
}


def symbol(node: GraphNode) -> str:
    """What stands in the gate: + for an addition, the name of the operation where it has no sign."""
    return SYMBOLS.get(node.op, node.op)


def rule(node: GraphNode) -> str:
    """What the gate does to a gradient: one word, or for a function its local gradient."""
    if node.op == "sub":
        return "distributes +, −"
    if node.gate != "function":
        return RULES[node.gate or "wire"]
    formula = LOCAL.get(node.op, "f′(x)")
    if node.op == "pow" and any(sent is not None for sent in node.downstream):  # by the base, by the exponent
        both = zip((formula, "xʸ·ln x"), node.downstream, strict=True)
        formula = ", ".join(one for one, sent in both if sent is not None)
    local = _local(node)
    return f"local {formula}" if local is None else f"local {formula} = {local}"


def _local(node: GraphNode) -> str | None:
    """The local gradient of a function, downstream by upstream, where one number goes back and nothing else."""
    sent = [downstream for downstream in node.downstream if downstream is not None]
    if node.grad is None or node.grad.shape or len(sent) != 1 or not node.grad:
        return None
    (downstream,) = sent
    if downstream.shape or not np.isfinite(downstream) or not np.isfinite(node.grad):
        return None
    with np.errstate(over="ignore"):
        return number(float(downstream) / float(node.grad))
