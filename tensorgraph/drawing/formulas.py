"""The equations of the operations, as templates: what a gate computes, and what it sends back to each of its inputs.

{g} is the upstream gradient, {out} the result, other names are the arguments. An entry that depends on the call is a
function of the case. What has no entry is explained by its gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tensorgraph.drawing.equations import Operand
from tensorgraph.kernels import shapes


@dataclass(frozen=True, eq=False, slots=True)
class Case:
    """One call of an operation."""

    arrays: Mapping[str, Any]  # by the names of the arguments; a missing one, such as no bias, is not there
    out: Any
    options: Mapping[str, Any]
    constants: frozenset[str]  # the arguments that are numbers of the program
    wanted: frozenset[str]  # the arguments that get a gradient
    local: Callable[[str], Any]  # of an argument: what its rule makes of an upstream gradient of ones
    extra: dict[str, Operand] = field(default_factory=dict)  # what a formula uses beside the arguments

    def shape(self, name: str) -> tuple[int, ...]:
        return self.arrays[name].shape


Template = str | Callable[[Case], str]


class Formula(NamedTuple):
    """What an operation computes, and what it sends back."""

    forward: Template
    gradients: Mapping[str, Template]
    words: Template | None = None  # what it does to the gradient, where the gate alone does not say it well


def _of_x(forward: Template, gradient: Template, words: Template | None = None) -> Formula:
    return Formula(forward, {"x": gradient}, words)


# --- powers and choices -----------------------------------------------------------------------------------------------


def _pow_base(case: Case) -> str:
    if "y" not in case.constants:
        return "{g} * {y} * {x}^({y} - 1)"
    exponent = float(case.arrays["y"])
    if exponent == 2:
        return "{g} * {y} * {x}"
    return f"{{g}} * {{y}} * {{x}}^({exponent - 1:g})"


def _mask(name: str, symbol: str) -> Callable[[Case], str]:
    """The upstream gradient times 1 where the condition holds, 0 elsewhere."""

    def template(case: Case) -> str:
        case.extra[f"mask_{name}"] = Operand(symbol, np.asarray(case.local(name)))
        return f"{{g}} * {{mask_{name}}}"

    return template


def _routes(case: Case) -> str:
    """Which input wins, if there is one winner."""
    masks = {name: case.local(name) for name in ("x", "y")}
    if case.out.ndim:
        return "routes: the winner gets the upstream gradient, the other nothing; the first wins a tie"
    winner = "first" if masks["x"] else "second"
    return f"routes: the {winner} input wins and gets all of the upstream gradient, the other nothing"


# --- sums and means ---------------------------------------------------------------------------------------------------


def _reduced(name: str) -> Callable[[Case], str]:
    def template(case: Case) -> str:
        axis = case.options.get("axis")
        return f"{name}({{x}})" if axis is None else f"{name}({{x}}, axis={axis})"

    return template


def _spread(case: Case) -> str:
    """A gradient that is repeated over the axes that were summed."""
    if case.out.shape == case.shape("x"):
        return "{g}"
    axis = case.options.get("axis")
    return f"repeat({{g}}, {_shape(case.shape('x'))}{'' if axis is None else f', axis={axis}'})"


def _mean(case: Case) -> str:
    count = case.arrays["x"].size // max(case.out.size, 1)
    return f"{_spread(case)} / {count}"


def _shape(shape: tuple[int, ...]) -> str:
    return f"shape={shape}"


def summed_over(shape: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which an array of the target's shape is repeated to become one of the other shape."""
    lead = len(shape) - len(target)
    return (*range(lead), *(i for i, size in enumerate(target, lead) if size == 1 and shape[i] != 1))


def sum_back(inner: str, shape: tuple[int, ...], target: tuple[int, ...]) -> str:
    """The template of a gradient in the shape of the output, summed to the shape of a broadcast input."""
    axes = summed_over(shape, target)
    if not axes:
        return inner
    if len(axes) == len(shape):
        return f"sum({inner})"
    return f"sum({inner}, axis={axes[0] if len(axes) == 1 else axes})"


# --- products of matrices ---------------------------------------------------------------------------------------------


def _matmul_x(case: Case) -> str:
    x, y = len(case.shape("x")), len(case.shape("y"))
    if min(x, y) == 1 and max(x, y) > 2:
        return ""
    if y == 1:
        return "{g} * {y}" if x == 1 else "outer({g}, {y})"
    return sum_back("{g} @ {y}^T", case.out.shape[:-2], case.shape("x")[:-2]) if x > 1 else "{y} @ {g}"


def _matmul_y(case: Case) -> str:
    x, y = len(case.shape("x")), len(case.shape("y"))
    if min(x, y) == 1 and max(x, y) > 2:
        return ""
    if x == 1:
        return "{g} * {x}" if y == 1 else "outer({x}, {g})"
    return sum_back("{x}^T @ {g}", case.out.shape[:-2], case.shape("y")[:-2]) if y > 1 else "{x}^T @ {g}"


def _swaps(case: Case, **sent: str) -> str:
    """What those arguments get that have a gradient."""
    return "swaps: " + "; ".join(text for name, text in sent.items() if name in case.wanted)


def _linear_words(case: Case) -> str:
    return _swaps(
        case,
        x="the input gets the upstream gradient times the weights",
        w="the weights get the upstream gradient times the input",
        b="the bias gets the sum of the upstream gradient",
    )


def _linear_w(case: Case) -> str:
    axes = len(case.shape("x"))
    return "outer({g}, {x})" if axes == 1 else "{g}^T @ {x}" if axes == 2 else "flat({g})^T @ flat({x})"


def _bias(forward: str) -> Callable[[Case], str]:
    return lambda case: f"{forward} + {{b}}" if "b" in case.arrays else forward


# --- convolution and pooling ------------------------------------------------------------------------------------------


def _one(values: Any) -> Any:
    """One number where those of height and width agree."""
    values = tuple(values)
    return values[0] if len(set(values)) == 1 else values


class _Window(NamedTuple):
    """The settings of a convolution, in numbers."""

    stride: Any
    padding: Any
    dilation: Any
    groups: int
    left: tuple[int, ...]  # rows and columns, the padding's included, that no window reaches

    @classmethod
    def of(cls, case: Case) -> _Window:
        settings = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **case.options}
        steps, pads, spread = shapes.conv_window(case.shape("x"), case.shape("w"), **settings)
        kernel, counts = case.shape("w")[2:], case.out.shape[2:]
        reached = shapes.covered_sizes(counts, kernel, steps, pads, spread, (0,) * len(counts))
        left = tuple(size - used for size, used in zip(case.shape("x")[2:], reached, strict=True))
        return cls(_one(steps), _one(_one(pad) for pad in pads), _one(spread), settings["groups"], left)


def _given(**settings: Any) -> str:
    """ ", stride=2, padding=1": the settings that do something."""
    return "".join(f", {name}={value}" for name, value in settings.items() if value != (name != "padding"))


def _conv(case: Case) -> str:
    stride, padding, dilation, groups, _ = _Window.of(case)
    return _bias(f"conv({{x}}, {{w}}{_given(stride=stride, padding=padding, dilation=dilation, groups=groups)})")(case)


def _conv_words(case: Case) -> str:
    window = _Window.of(case)
    x = "the input gets the full convolution of the upstream gradient with the filters rotated by 180 degrees"
    if window.stride != 1:
        x += ", after the stride has put zeros between its elements"
    if window.padding != 0:
        x += ", without what falls on the padding"
    w = "the filters get the correlation of the input with the upstream gradient"
    return _swaps(case, x=x, w=w, b="the bias gets the sum of the upstream gradient")


def _conv_x(case: Case) -> str:
    stride, padding, dilation, groups, left = _Window.of(case)
    upstream = "{g}" if stride == 1 else f"zeros_between({{g}}, stride={stride})"
    full = f"full_conv({upstream}, rot180({{w}}){_given(dilation=dilation, groups=groups)})"
    if any(left):
        full = f"zeros_after({full}, {_one(left)})"
    return full if padding == 0 else f"without_padding({full}, {padding})"


def _conv_w(case: Case) -> str:
    """The upstream gradient is the filter; its elements lie a stride apart."""
    stride, padding, dilation, groups, left = _Window.of(case)
    height, width = case.shape("w")[2:]
    cut = f"[..., :{height}, :{width}]" if any(left) else ""
    return f"conv({{x}}, {{g}}{_given(stride=dilation, padding=padding, dilation=stride, groups=groups)}){cut}"


def _window(case: Case) -> str:
    """2x2"""
    size = case.options.get("kernel_size")
    return "x".join(map(str, size)) if isinstance(size, tuple) else f"{size}x{size}"


def _pooled(name: str) -> Callable[[Case], str]:
    def template(case: Case) -> str:
        window = f"{name}({{x}}, {_window(case)}"
        settings = {key: value for key, value in case.options.items() if key in ("stride", "padding", "dilation")}
        size = case.options["kernel_size"]
        if settings.get("stride") in (None, size, (size, size)):
            settings.pop("stride", None)
        return window + _given(**{key: _one(np.atleast_1d(value).tolist()) for key, value in settings.items()}) + ")"

    return template


# --- softmax and cross-entropy ----------------------------------------------------------------------------------------


def _along(case: Case, more: str = "") -> str:
    """Of what has several axes, the one that the softmax runs along."""
    return f", axis={case.options.get('axis', -1)}{more}" if case.out.ndim > 1 else ""


def _softmax(case: Case) -> Any:
    logits = case.arrays["logits"]
    with np.errstate(all="ignore"):
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = shares / shares.sum(axis=-1, keepdims=True)
    case.extra["softmax"] = Operand("softmax({logits})", shares.astype(logits.dtype))
    return shares


def _cross_entropy(case: Case) -> str:
    shares, target = _softmax(case), case.arrays["target"]
    rows = case.arrays["logits"].shape[:-1]
    if target.shape == case.shape("logits"):
        loss = "-sum({target} * log({softmax}), axis=-1)" if rows else "-sum({target} * log({softmax}))"
    else:
        picked = np.take_along_axis(shares, target[..., None], axis=-1)[..., 0]
        case.extra["picked"] = Operand("softmax({logits})[{target}]", picked.astype(case.out.dtype))
        loss = "-log({picked})"
    reduction = case.options.get("reduction", "mean")
    return f"{reduction}({loss})" if rows and reduction != "none" else loss


def _cross_entropy_logits(case: Case) -> str:
    logits, target = case.arrays["logits"], case.arrays["target"]
    _softmax(case)
    if target.shape == logits.shape:
        sure = np.allclose(target.sum(axis=-1), 1)
        along = ", axis=-1, keepdims=True" if target.ndim > 1 else ""
        difference = "({softmax} - {target})" if sure else f"({{softmax}} * sum({{target}}{along}) - {{target}})"
    else:
        hot = (target[..., None] == np.arange(logits.shape[-1])).astype(np.int64)
        case.extra["hot"] = Operand("onehot({target})", hot)
        difference = "({softmax} - {hot})"
    count = logits.shape[0] if logits.ndim == 2 and case.options.get("reduction", "mean") == "mean" else 1
    upstream = "{g}[:, None]" if case.out.ndim else "{g}"
    return f"{upstream} * {difference}" + (f" / {count}" if count != 1 else "")


# --- the table --------------------------------------------------------------------------------------------------------

FORMULAS: dict[str, Formula] = {
    "add": Formula("{x} + {y}", {"x": "{g} * 1", "y": "{g} * 1"}),
    "sub": Formula(
        "{x} - {y}", {"x": "{g} * 1", "y": "{g} * (-1)"}, "distributes: x gets the upstream gradient, y its negative"
    ),
    "mul": Formula("{x} * {y}", {"x": "{g} * {y}", "y": "{g} * {x}"}),
    "div": Formula(
        "{x} / {y}",
        {"x": "{g} * (1 / {y})", "y": "{g} * (-{x} / {y}^2)"},
        "multiplies: the upstream gradient times 1/y for x, times -x/y^2 for y",
    ),
    "neg": _of_x("-{x}", "{g} * (-1)"),
    "pow": Formula(
        "{x}^{y}",
        {"x": _pow_base, "y": "{g} * {out} * log({x})"},
        "multiplies: the upstream gradient times y x^(y-1), the derivative of a power",
    ),
    "abs": _of_x("abs({x})", "{g} * sign({x})"),
    "sqrt": _of_x("sqrt({x})", "{g} / (2 * {out})"),
    "exp": _of_x("exp({x})", "{g} * {out}", "multiplies: e^x is its own derivative"),
    "expm1": _of_x("exp({x}) - 1", "{g} * ({out} + 1)"),
    "log": _of_x("log({x})", "{g} * (1 / {x})", "multiplies: the derivative of log x is 1/x"),
    "log1p": _of_x("log(1 + {x})", "{g} / (1 + {x})"),
    "sin": _of_x("sin({x})", "{g} * cos({x})"),
    "cos": _of_x("cos({x})", "{g} * (-sin({x}))"),
    "tan": _of_x("tan({x})", "{g} * (1 + {out}^2)"),
    "arctan": _of_x("arctan({x})", "{g} / (1 + {x}^2)"),
    "sinh": _of_x("sinh({x})", "{g} * cosh({x})"),
    "cosh": _of_x("cosh({x})", "{g} * sinh({x})"),
    "tanh": _of_x("tanh({x})", "{g} * (1 - {out}^2)", "multiplies: the derivative of t = tanh x is 1 - t^2"),
    "sigmoid": _of_x(
        "sigmoid({x})", "{g} * {out} * (1 - {out})", "multiplies: the derivative of s = sigmoid x is s (1 - s)"
    ),
    "softplus": _of_x("log(1 + exp({x}))", "{g} * sigmoid({x})"),
    "relu": _of_x(
        "max({x}, 0)",
        _mask("x", "[{x} > 0]"),
        "routes: the upstream gradient passes where the input is positive, and stops elsewhere",
    ),
    "maximum": Formula("max({x}, {y})", {"x": _mask("x", "[{x} wins]"), "y": _mask("y", "[{y} wins]")}, _routes),
    "minimum": Formula("min({x}, {y})", {"x": _mask("x", "[{x} wins]"), "y": _mask("y", "[{y} wins]")}, _routes),
    "sum": _of_x(_reduced("sum"), _spread, "distributes: every summand gets the upstream gradient of its sum"),
    "mean": _of_x(_reduced("mean"), _mean, "distributes: every element gets its share of the upstream gradient"),
    "matmul": Formula("{x} @ {y}", {"x": _matmul_x, "y": _matmul_y}),
    "linear": Formula(
        _bias("{x} @ {w}^T"),
        {"x": "{g} @ {w}", "w": _linear_w, "b": lambda c: sum_back("{g}", c.out.shape, c.shape("b"))},
        _linear_words,
    ),
    "conv2d": Formula(_conv, {"x": _conv_x, "w": _conv_w, "b": "sum({g}, axis=(0, 2, 3))"}, _conv_words),
    "max_pool2d": _of_x(
        _pooled("max_pool"),
        "to_winners({g})",
        "routes: the first maximum of each window gets the upstream gradient of that window, the others nothing",
    ),
    "avg_pool2d": _of_x(
        _pooled("avg_pool"),
        lambda case: f"to_windows({{g}} / {np.prod([int(n) for n in _window(case).split('x')])})",
        "distributes: every element of a window gets an equal share of the upstream gradient of that window",
    ),
    "softmax": _of_x(
        lambda case: f"softmax({{x}}{_along(case)})",
        lambda case: f"{{out}} * ({{g}} - sum({{g}} * {{out}}{_along(case, ', keepdims=True')}))",
        "multiplies: by the softmax s, after the mean of the upstream gradient, weighted with s, is taken off",
    ),
    "softmax_cross_entropy": Formula(
        _cross_entropy,
        {"logits": _cross_entropy_logits},
        "softmax and cross-entropy in one step back: softmax - target",
    ),
    "broadcast_to": _of_x(
        lambda case: f"repeat({{x}}, {_shape(case.out.shape)})",
        lambda case: sum_back("{g}", case.out.shape, case.shape("x")),
        "adds: one value went to several places, their gradients are summed",
    ),
    "reshape": _of_x(
        lambda case: f"reshape({{x}}, {_shape(case.out.shape)})",
        lambda case: f"reshape({{g}}, {_shape(case.shape('x'))})",
    ),
}
