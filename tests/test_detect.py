"""detect_nan: the first operation that makes NaN or infinity is stopped and named; what only passes it on is not."""

from __future__ import annotations

import inspect
import threading

import numpy as np
import pytest

import nn
import tensorgraph as tg


def leaf(values, name=None):
    return tg.tensor(values, dtype="float64", requires_grad=True, name=name)


def stopped(run):
    """The error that detect_nan stops the program with, and its text without the place of the line."""
    with pytest.raises(FloatingPointError) as caught, tg.detect_nan():
        run()
    head, found, rest = str(caught.value).partition(f" (recorded at {__file__}:")
    assert found
    return caught.value, head + rest[rest.index("): ") + 1 :]


# --- forward ---------------------------------------------------------------------------------------------------------


def test_the_operation_that_makes_infinity_is_named_with_its_numbers():
    x = leaf([[1.0, 2.0], [0.0, 3.0]])
    error, text = stopped(lambda: tg.exp(tg.log(x) * 2.0).sum())
    assert text == "log: made -inf at [1, 0] of x = 0.0; 1 of 4 values is not finite"
    assert "tg.exp(tg.log(x) * 2.0).sum()" in str(error)
    assert f":{inspect.currentframe().f_lineno - 3}: " in str(error)


def test_the_operation_that_makes_nan_is_named():
    x = leaf([1.0, -4.0, -9.0])
    _, text = stopped(lambda: tg.sqrt(x).sum())
    assert text == "sqrt: made nan at [1] of x = -4.0; 2 of 3 values are not finite"


def test_both_arguments_are_shown():
    x, y = leaf([1.0, 0.0]), leaf([1.0, 0.0])
    _, text = stopped(lambda: x / y)
    assert text == "div: made nan at [1] of x = 0.0, y = 0.0; 1 of 2 values is not finite"


def test_an_overflow_in_a_sum_is_made_there():
    x = leaf([1e308, 1e308])
    _, text = stopped(lambda: x.sum())
    assert text == "sum: made inf; 1 of 1 values is not finite"


def test_infinity_on_purpose_passes_and_nan_from_it_does_not():
    mask, x = np.array([True, False]), leaf([1.0, 2.0])
    with tg.detect_nan():
        p = tg.softmax(tg.where(mask, x, -np.inf), axis=0)
    np.testing.assert_array_equal(p.detach(), [1.0, 0.0])
    _, text = stopped(lambda: tg.where(mask, x, -np.inf) * 0.0)
    assert text == "mul: made nan at [1] of x = -inf, y = 0.0; 1 of 2 values is not finite"


def test_nan_among_the_data_is_reported_where_it_comes_in():
    data = np.array([[0.0, np.nan], [1.0, 1.0]])
    w = leaf([1.0, 2.0])
    _, text = stopped(lambda: (tg.tensor(data) @ w).sum())
    assert text == "matmul: x came in with nan at [0, 1]; 1 of 4 values is not finite"
    w = leaf([np.nan, 2.0])
    _, text = stopped(lambda: w * 2.0)
    assert text == "mul: x came in with nan at [0]; 1 of 2 values is not finite"


def test_the_layer_is_named():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with tg.no_grad():
        net[2].weight[...] = np.inf
        net[0].bias[...] = -100.0
    error, text = stopped(lambda: net(tg.ones(1, 2)))
    assert text == "2 (Linear): linear: made nan at [0, 0]; 1 of 1 values is not finite"
    assert [node.op for node in error.graph.nodes if node.gate] == ["linear", "relu", "linear"]


def test_the_graph_ends_at_the_culprit():
    x = leaf([0.0], "x")
    error, _ = stopped(lambda: tg.log(x))
    assert [node.op for node in error.graph.nodes] == ["parameter", "log"]
    assert error.graph.output.error == str(error)
    assert error.graph.output.value == [-np.inf]


# --- backward --------------------------------------------------------------------------------------------------------


def test_a_rule_that_makes_infinity_is_named():
    x = leaf([4.0, 0.0])
    error, text = stopped(lambda: tg.sqrt(x).sum().backward())
    expected = (
        "sqrt: the gradient for x made inf at [1] of upstream = 1.0, out = 0.0, x = 0.0; 1 of 2 values is not finite"
    )
    assert text == expected
    assert error.graph.output.op == "sqrt"
    assert x.grad is None


def test_a_gradient_that_was_given_is_not_blamed_on_a_rule():
    x = leaf([1.0, 2.0])
    _, text = stopped(lambda: (x * 2.0).backward([np.nan, 1.0]))
    assert text == (
        "mul: the gradient that arrives, as given to backward() or as a sum over several uses, is nan at [0]; "
        "1 of 2 values is not finite"
    )


def test_gradients_that_overflow_as_they_are_added_up_are_seen():
    x = leaf(0.5)

    def program():
        h = x * 1.0
        (h * 1e308 + h * 1e308).backward()

    _, text = stopped(program)
    assert text == (
        "mul: the gradient that arrives, as given to backward() or as a sum over several uses, is inf; "
        "1 of 1 values is not finite"
    )


def test_second_order_gradients_are_watched():
    x = leaf(0.0)
    with tg.detect_nan():
        (g,) = tg.gradients(x**1.5, [x], create_graph=True)
    _, text = stopped(lambda: tg.gradients(g, [x]))
    assert "made inf" in text


# --- off, and elsewhere ----------------------------------------------------------------------------------------------


def test_it_ends_with_the_block():
    x = leaf([0.0])
    with tg.detect_nan():
        tg.exp(x)
    with np.errstate(divide="ignore"):
        assert tg.log(x).data[0] == -np.inf
    assert not tg.hooks.on_forward
    assert not tg.hooks.on_backward


def test_other_threads_are_left_alone():
    results = []

    def elsewhere():
        with np.errstate(divide="ignore"):
            results.append(tg.log(leaf([0.0])).data[0])

    with tg.detect_nan():
        worker = threading.Thread(target=elsewhere)
        worker.start()
        worker.join()
    assert results == [-np.inf]


def test_it_decorates_a_function():
    @tg.detect_nan()
    def step(x):
        return tg.log(x)

    for _ in range(2):
        with pytest.raises(FloatingPointError):
            step(leaf([0.0]))
