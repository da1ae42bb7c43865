"""Gradients of recorded tensors, without touching any `.grad`: by any input, of any outputs, to any order."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgraph as tg

V = np.array([1.0, 10.0])


def leaf(values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


def plain(values):
    return tg.tensor(np.array(values, np.float64))


def same(actual, expected):
    values = actual.data if isinstance(actual, tg.Tensor) else actual
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)


def test_gradients_touch_no_grad():
    x, w = leaf(2.0), leaf(3.0)
    dx, dw = tg.gradients(x * x * w, [x, w])
    same(dx, 12.0)
    same(dw, 4.0)
    assert (x.grad, w.grad) == (None, None)
    assert not dx.requires_grad


def test_gradients_by_intermediate_results():
    x = leaf([1.0, 2.0])
    hidden = x * x
    out = (hidden * hidden * x).sum()
    by_hidden, by_x = tg.gradients(out, [hidden, x])
    same(by_hidden, 2.0 * np.array([1.0, 4.0]) * [1.0, 2.0])
    same(by_x, 5.0 * np.array([1.0, 2.0]) ** 4)


def test_the_gradient_of_an_output_by_itself():
    x = leaf([1.0, 2.0])
    y = x * 3.0
    same(tg.gradients(y, y, V)[0], V)
    same(tg.gradients(x, x, V)[0], V)


def test_the_same_input_twice():
    x = leaf(3.0)
    same(tg.gradients(x * x, (x, x))[0], 6.0)
    first, second = tg.gradients(x * x, (x, x))
    same(first, 6.0)
    same(second, 6.0)


def test_gradients_of_several_outputs_are_summed():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = x * w
    dx, dw = tg.gradients([y, y.sum(), x], [x, w], [V, None, np.array([0.5, 0.5])])
    same(dx, np.array([3.0, 4.0]) * V + [3.0, 4.0] + 0.5)
    same(dw, np.array([1.0, 2.0]) * V + [1.0, 2.0])


def test_the_same_output_twice_counts_twice():
    x = leaf(3.0)
    y = x * x
    same(tg.gradients([y, y], x)[0], 12.0)


def test_gradients_walk_only_what_leads_to_the_inputs():
    calls = []
    x, w = leaf(2.0), leaf(3.0)
    y = tg.exp(tg.sin(x)) * (w * w)
    with tg.hooks.watch(backward=lambda node, *_: calls.append(node.op)):
        same(tg.gradients(y, w)[0], 6.0 * np.exp(np.sin(2.0)))
    assert calls == ["mul", "mul"]


def test_gradients_free_the_graph_unless_told_otherwise():
    x = leaf(3.0)
    y = x * x
    tg.gradients(y, x, retain_graph=True)
    tg.gradients(y, x, create_graph=True)
    tg.gradients(y, x)
    with pytest.raises(tg.GradError, match="freed"):
        tg.gradients(y, x)


def test_gradients_by_an_intermediate_result_leave_what_made_it():
    x = leaf([1.0, 2.0])
    hidden = x * x
    same(tg.gradients((hidden * hidden).sum(), hidden)[0], [2.0, 8.0])
    hidden.sum().backward()
    same(x.grad, [2.0, 4.0])


def test_gradients_by_an_intermediate_result_whose_own_history_was_freed():
    x = leaf([1.0, 2.0])
    hidden = x * x
    hidden.sum().backward()
    same(tg.gradients((hidden * 3.0).sum(), hidden)[0], [3.0, 3.0])


REFUSED = {
    "unused input": (
        lambda x, y: tg.gradients(y, [x, leaf(1.0)]),
        "gradients: no output depends on input 1",
    ),
    "input without a gradient": (
        lambda x, y: tg.gradients(y, [x, plain(1.0)]),
        "gradients: input 1 requires no gradient; create it with requires_grad=True",
    ),
    "output without a gradient": (
        lambda x, y: tg.gradients(plain(1.0), x),
        "gradients: output 0 requires no gradient; create it with requires_grad=True",
    ),
    "number of upstream gradients": (
        lambda x, y: tg.gradients([y, y], x, [None]),
        "gradients: got 1 grad_outputs for 2 outputs",
    ),
    "not a scalar": (
        lambda x, y: tg.gradients(x * 2.0, x),
        "gradients: the output has shape (2,), which is not a scalar; reduce it with .sum() or .mean(), "
        "or give the upstream gradient",
    ),
    "shape of an upstream gradient": (
        lambda x, y: tg.gradients(y, x, np.ones(2)),
        "gradients: gradient has shape (2,), the output has shape ()",
    ),
}


@pytest.mark.parametrize(("attempt", "message"), REFUSED.values(), ids=REFUSED)
def test_gradients_refuse_and_keep_the_graph(attempt, message):
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    with pytest.raises((tg.GradError, tg.ShapeError)) as caught:
        attempt(x, y)
    assert str(caught.value) == message
    same(tg.gradients(y, x)[0], [2.0, 4.0])


# --- higher derivatives ----------------------------------------------------------------------------------------------


def test_five_derivatives_of_a_polynomial():
    x = leaf(2.0)
    y = x**4
    for expected in (32.0, 48.0, 48.0, 24.0):
        (y,) = tg.gradients(y, x, create_graph=True)
        same(y, expected)


def test_three_derivatives_by_backward():
    x = leaf(0.7)
    tg.sin(x * x).backward(create_graph=True)
    s, c, v = np.sin(0.49), np.cos(0.49), 0.7
    first = x.grad
    same(first, 2 * v * c)
    x.grad = None
    first.backward(create_graph=True)
    second = x.grad
    same(second, 2 * c - 4 * v**2 * s)
    x.grad = None
    second.backward()
    same(x.grad, -12 * v * s - 8 * v**3 * c)


def test_third_derivatives_through_a_network():
    """d3/dx3 of w tanh(x): 2 w (1 - t^2)(3 t^2 - 1), by nested functions and by the recorded graph."""
    x, w = leaf(0.3), leaf(1.7)
    y = w * tg.tanh(x)
    for _ in range(3):
        (y,) = tg.gradients(y, x, create_graph=True)
    t = np.tanh(0.3)
    same(y, 1.7 * 2 * (1 - t**2) * (3 * t**2 - 1))
    same(tg.gradients(y, w)[0], 2 * (1 - t**2) * (3 * t**2 - 1))
    f = tg.grad(tg.grad(tg.grad(lambda v: 1.7 * tg.tanh(v))))
    same(f(plain(0.3)), 1.7 * 2 * (1 - t**2) * (3 * t**2 - 1))


def test_a_gradient_penalty():
    """|df/dx|^2 as part of a loss: its own gradient by the weights of f."""
    w, x = leaf([2.0, -1.0]), leaf([0.5, 3.0])
    out = tg.exp(w * x).sum()
    (slope,) = tg.gradients(out, x, create_graph=True)
    (slope * slope).sum().backward()
    # slope = w e^(wx); d/dw of w^2 e^(2wx) = 2 w (1 + w x) e^(2wx)
    wv, xv = np.array([2.0, -1.0]), np.array([0.5, 3.0])
    same(w.grad, 2 * wv * (1 + wv * xv) * np.exp(2 * wv * xv))
    same(x.grad, 2 * wv**3 * np.exp(2 * wv * xv))


def test_an_operation_without_slope_gives_a_gradient_of_zeros():
    @tg.extend.primitive(gate="function", name="sends_nothing")
    def op(x, /):
        return np.floor(x)

    op.vjp(x=lambda g, out, x: g * 0)
    x = tg.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    (g,) = tg.gradients(op(x).sum(), x)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g.numpy(), np.zeros((2, 3)))


def test_rules_run_on_arrays_unless_the_gradients_are_recorded():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    seen = []

    def watch(node, g, downstream):
        seen.extend(type(d) for d in (g, *downstream) if d is not None)

    for create_graph in (False, True):
        y = (tg.sin(x) * x).sum()
        seen.clear()
        tg.hooks.on_backward.append(watch)
        try:
            tg.gradients(y, x, create_graph=create_graph)
        finally:
            tg.hooks.on_backward.remove(watch)
        assert set(seen) == {tg.Tensor if create_graph else np.ndarray}


@pytest.mark.parametrize("shape", [(), (2,), (1, 2), (3, 1), (3, 2)])
def test_the_gradient_of_a_sum_over_broadcast_axes_by_what_was_summed(shape):
    x, up = leaf(np.ones(shape)), leaf(np.ones((3, 2)))
    (g,) = tg.gradients(tg.broadcast_to(x, (3, 2)), x, up, create_graph=True)
    weights = np.arange(1.0, 1.0 + g.size).reshape(shape)
    (d,) = tg.gradients(g, up, plain(weights))
    same(d, np.broadcast_to(weights, (3, 2)))
