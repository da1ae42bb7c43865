"""The tests are tested: a rule that is slightly wrong must fail the check of test_ops.py, for every primitive."""

from __future__ import annotations

import numpy as np
import pytest
from op_table import ROWS
from test_ops import test_gradient as check_gradient
from test_ops import test_second_gradient as check_second_gradient
from test_ops import tracked

import tensorgraph as tg
from tensorgraph._primitive import registry

WRONG = {
    "off by a thousandth": lambda d: d * 1.001,
    "wrong sign": lambda d: -d,
    "zero": lambda d: d * 0.0,
    "a constant too much": lambda d: d + 0.01,
    "an element dropped": lambda d: d * (np.abs(d) != np.abs(d).max()),
}


def spoil(monkeypatch, name, i, wrong):
    """Let the rule for argument i of a primitive return something wrong, at the top of the walk only."""
    primitive = registry[name]
    position = 0 if primitive.variadic else i
    right = primitive.rules[position]
    rules = list(primitive.rules)
    rules[position] = lambda *args, **options: wrong(right(*args, **options))
    monkeypatch.setattr(primitive, "rules", tuple(rules))
    if at_once := primitive.vjp_arrays:

        def spoiled(*args, **options):
            return [wrong(d) if k == i and d is not None else d for k, d in enumerate(at_once(*args, **options))]

        monkeypatch.setattr(primitive, "vjp_arrays", spoiled)


CASES = [pytest.param(row, i, id=f"{row.name}-{i}") for row in ROWS for i in tracked(row, row.samples[0][0])]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("row", "i"), CASES)
def test_a_wrong_rule_is_caught(monkeypatch, row, i, wrong):
    arrays, options = row.samples[0]
    spoil(monkeypatch, row.name, i, WRONG[wrong])
    with pytest.raises((AssertionError, tg.GradError)):
        check_gradient(row, arrays, options)


@pytest.mark.parametrize("name", ["mul", "tanh", "matmul", "conv2d", "batch_norm", "softmax"])
def test_a_rule_that_forgets_what_it_depends_on_is_caught_by_the_second_derivative(monkeypatch, name):
    """A rule may give the right numbers and cut the graph: then the first gradient is right and the second wrong."""
    row = next(row for row in ROWS if row.name == name)
    arrays, options = row.samples[0]
    spoil(monkeypatch, name, 0, lambda d: d.detach() if isinstance(d, tg.Tensor) else d)
    check_gradient(row, arrays, options)
    with pytest.raises((AssertionError, tg.GradError)):
        check_second_gradient(row, arrays, options)


def test_a_missing_sum_over_broadcast_axes_is_caught(monkeypatch):
    """A rule that takes one summand instead of the sum has the right shape and the wrong numbers."""
    row = next(row for row in ROWS if row.name == "broadcast_to")
    (arrays, options), *_ = row.samples
    spoil(monkeypatch, "broadcast_to", 0, lambda d: d * 0.5)
    with pytest.raises(AssertionError):
        check_gradient(row, arrays, options)


def test_a_rule_of_the_wrong_shape_is_an_error_that_says_so(monkeypatch):
    spoil(monkeypatch, "matmul", 0, lambda d: d[:1])
    x = tg.ones(2, 3, requires_grad=True)
    with pytest.raises(tg.GradError) as caught:
        (x @ tg.ones(3, 4)).sum().backward()
    assert str(caught.value) == "matmul: the gradient rule for x returned shape (1, 3) for an argument of shape (2, 3)"
    assert x.grad is None
