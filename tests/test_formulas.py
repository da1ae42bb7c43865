"""Every equation that an explanation prints is true: its template, evaluated on its numbers, gives its result."""

from __future__ import annotations

import re

import numpy as np
import pytest
from op_table import ROWS

import tensorgraph as tg
from tensorgraph._primitive import registry
from tensorgraph.drawing.equations import pieces
from tensorgraph.drawing.formulas import FORMULAS
from tensorgraph.drawing.rules import Rules

rng = np.random.default_rng(5)


def conv(x, w, stride=1, padding=0, dilation=1):
    """One channel, one filter: (1, 1, H, W)."""
    return tg.conv2d(x, w, stride=stride, padding=padding, dilation=dilation)


def zeros_between(g, stride):
    out = np.zeros((*g.shape[:2], *((size - 1) * stride + 1 for size in g.shape[2:])))
    out[:, :, ::stride, ::stride] = g
    return out


def repeated(x, shape, axis=None):
    """x repeated along the axis, which it lacks or has in size 1."""
    if axis is not None and x.ndim < len(shape):
        x = np.expand_dims(x, axis)
    return np.broadcast_to(x, shape)


def softmax(x, axis=-1):
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


FUNCTIONS = {
    **{name: getattr(np, name) for name in "abs sqrt exp log sin cos tan arctan sinh cosh tanh sign outer".split()},
    "sum": np.sum,
    "mean": np.mean,
    "min": lambda x, y: np.minimum(x, y),
    "max": lambda x, y: np.maximum(x, y),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": softmax,
    "flat": lambda x: x.reshape(-1, x.shape[-1]),
    "reshape": np.reshape,
    "repeat": repeated,
    "conv": conv,
    "full_conv": lambda g, w, dilation=1: conv(g, w, padding="full", dilation=dilation),
    "rot180": lambda w: w[..., ::-1, ::-1].copy(),
    "zeros_between": zeros_between,
    "without_padding": lambda x, padding: x[:, :, padding:-padding, padding:-padding],
    "zeros_after": lambda x, count: np.pad(x, ((0, 0), (0, 0), (0, count), (0, count))),
    "T": lambda x: np.swapaxes(x, -1, -2) if np.ndim(x) > 1 else x,
}
IN_WORDS = re.compile(r"_back\(|to_winners?\(|to_windows\(|max_pool\(|avg_pool\(")  # no formulas, but names of rules


def evaluated(equation):
    """The template in Python."""
    values = {}
    code = ""
    for text, name in pieces(equation.template):
        code += text
        if name is not None:
            values[f"v{len(values)}"] = np.asarray(equation.operands[name].value, np.float64)
            code += f"v{len(values) - 1}"
    code = re.sub(r"(flat\(v\d+\)|v\d+)\^T", r"T(\1)", code).replace("^", "**")
    code = re.sub(r"-(v\d+)\*\*", r"-\1**", code)
    return eval(code, {"__builtins__": {}}, FUNCTIONS | values)


def check(equation):
    got = evaluated(equation)
    assert np.size(got) == equation.result.size, str(equation)
    np.testing.assert_allclose(
        np.reshape(got, equation.result.shape), equation.result, rtol=1e-9, atol=1e-12, err_msg=str(equation)
    )


def explained(call, arrays, options):
    """The rule of one call, with gradients that are not all alike."""
    floats = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    rules = call.rules
    inputs = [
        tg.tensor(a, requires_grad=True) if i in floats and rules[0 if call.variadic else i] else a
        for i, a in enumerate(arrays)
    ]
    out = call(*inputs, **options)
    upstream = rng.uniform(0.5, 1.5, out.shape)
    nodes = tg.graph((out * upstream).sum()).nodes
    return Rules(nodes).of(next(node for node in nodes if node.op == call.name))


SAMPLES = [
    pytest.param(registry[row.name], *sample, id=f"{row.name}-{i}")
    for row in ROWS
    for i, sample in enumerate(row.samples)
    if row.name != "conv2d" and registry[row.name].opened is None
]


@pytest.mark.parametrize(("call", "arrays", "options"), SAMPLES)
def test_equations_are_true(call, arrays, options):
    rule = explained(call, arrays, options)
    assert rule.backward
    for equation in rule.backward:
        if not IN_WORDS.search(equation.template):
            check(equation)
    if call.name in FORMULAS and not IN_WORDS.search(rule.forward.template):
        check(rule.forward)


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, (1, 1), "valid", "full"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_equations_of_a_convolution_are_true(size, stride, padding, dilation):
    """Of one channel; with more, it is the same for each pair of channel and filter."""
    x, w, b = rng.normal(size=(1, 1, size, size)), rng.normal(size=(1, 1, 3, 3)), rng.normal(size=1)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    rule = explained(tg.conv2d, (x, w, b), options)
    check(rule.forward)
    assert len([equation for equation in rule.backward if "[" not in equation.left.name]) == 3
    for equation in rule.backward:
        check(equation)


@pytest.mark.parametrize("groups", [1, 2])
def test_worked_elements_are_true(groups):
    x, w = rng.normal(size=(1, 2, 3, 3)), rng.normal(size=(2, 2 // groups, 2, 2))
    rule = explained(tg.conv2d, (x, w, None), {"groups": groups})
    worked = [equation for equation in rule.backward if "[" in equation.left.name]
    assert len(worked) == 2
    for equation in worked:
        check(equation)
    wide = explained(tg.matmul, (rng.normal(size=(2, 12)), rng.normal(size=(12, 2))), {})
    assert [len(list(pieces(equation.template))) // 2 for equation in wide.backward if "[" in equation.left.name] == [
        2,
        2,
    ]


def test_sums_of_copies_are_true():
    x = tg.tensor(rng.normal(size=3), requires_grad=True)
    nodes = tg.graph((x * x + tg.exp(x) * x).sum()).nodes
    rules = Rules(nodes)
    copies = [rules.of(node) for node in nodes if node.op == "copy"]
    assert len(copies) == 1
    check(copies[0].backward[0])


def test_the_call_that_failed_says_why():
    x, w = tg.tensor(np.ones((2, 3)), requires_grad=True), tg.tensor(np.ones((4, 5)))
    with pytest.raises(tg.ShapeError) as caught, tg.record():
        tg.linear(tg.exp(x), w)
    nodes = caught.value.graph.nodes
    rule = Rules(nodes).of(nodes[-1])
    assert (rule.words, rule.forward, rule.backward) == (str(caught.value), None, ())
    assert str(Rules(nodes).of(nodes[1]).forward).splitlines()[0].startswith("#1 = exp(#0) = ")
