"""What a check says: a report if all is right, an error with a verdict if not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tensorgraph.checking.nodes import NodeFinding
    from tensorgraph.checking.verdict import Finding

WORDS = {
    "wrong": "the gradient is wrong",
    "kink": "the function has a kink here: it has no gradient to compare with",
    "precision": "differences cannot resolve the gradient here: the values are rounded too much, or end nearby",
    "nondeterministic": "two calls with the same arguments give different results",
    "not finite": "NaN or infinity",
}


class GradientError(AssertionError):
    """A check of gradients that did not come out right.

    `verdict` is "wrong", "kink", "precision", "nondeterministic" or "not finite". Where an element decided it, there
    are `argument` (its name), `index`, `analytic` and `numeric` with the estimated `error` of the numeric value; the
    operation at fault is `op`, in the layer `scope`, if one was found; then `graph` is the graph with it marked.
    """

    __module__ = "tensorgraph.testing"  # its public place

    verdict: str
    argument: str | None = None
    index: tuple[int, ...] | None = None
    analytic: float | None = None
    numeric: float | None = None
    error: float | None = None
    op: str | None = None
    scope: str | None = None
    graph: Any = None

    def __init__(self, text: str, verdict: str) -> None:
        super().__init__(text)
        self.verdict = verdict


class Report(NamedTuple):
    """A check that came out right."""

    checked: tuple[str, ...]  # what was compared

    @property
    def verdict(self) -> str:
        return "right"


def failure(
    who: str, verdict: str, finding: Finding | None, argument: str | None, culprit: NodeFinding | None, again: str
) -> GradientError:
    """The error for a finding; `culprit` is the gate at fault, `again` the line that repeats the check."""
    lines = [f"{who}: {WORDS[verdict]}"]
    if finding is not None and argument is not None:
        lines.append("  " + _numbers(finding, argument))
    if culprit is not None:
        lines.append("  " + at_fault(culprit))
    lines.append(f"  again: {again}")
    error = GradientError("\n".join(lines), verdict)
    error.argument = argument
    if finding is not None:
        error.index, error.analytic = finding.element, finding.analytic
        error.numeric, error.error = finding.numeric, finding.error
    if culprit is not None:
        error.op, error.scope = culprit.node.op, culprit.node.scope
    return error


def _numbers(finding: Finding, argument: str) -> str:
    where = argument if finding.element is None else f"{argument}, element {list(finding.element)}"
    if finding.verdict == "not finite" and finding.element is None:
        return f"a result is NaN; the gradient of {argument} was not compared"
    if finding.verdict == "not finite":
        return f"{where}: gradient {finding.analytic:.6g}"
    along = " along a random direction" if finding.element is None else ""
    return (
        f"{where}{along}: gradient {finding.analytic:.9g}, by differences {finding.numeric:.9g} +- {finding.error:.1g}"
    )


def at_fault(found: NodeFinding) -> str:
    """The gate, its layer and its line in words."""
    node, finding = found.node, found.finding
    layer = "" if node.scope is None else f"{node.scope}: "
    line = "" if node.source is None else f" (recorded at {node.source})"
    what = f"the gradient rule of {node.op} for {found.argument}"
    if node.primitive is None:
        what = "the sum of the gradients that arrive at a copy gate"
    return f"at fault: {layer}{what}{line}: {_numbers(finding, found.argument)}"
