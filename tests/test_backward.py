"""The reverse walk: values used often, upstream gradients of every kind, and errors that change nothing."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgraph as tg
from tensorgraph._backward import walk
from tensorgraph.kernels._choice import LARGE


def leaf(values, dtype=np.float64):
    return tg.tensor(np.array(values, dtype), requires_grad=True)


def same(actual, expected):
    np.testing.assert_allclose(actual.data, expected, rtol=1e-12, atol=1e-12)


# --- values used several times: the copy gate adds -------------------------------------------------------------------


def test_a_square_as_a_product_with_itself():
    x = leaf([3.0, -2.0])
    (x * x).backward(np.array([1.0, 10.0]))
    same(x.grad, [6.0, -40.0])


def test_a_diamond():
    x = leaf(2.0)
    a = x * 3.0
    b, c = tg.exp(a), a * a
    (b * c).backward()
    same(x.grad, 3.0 * np.exp(6.0) * (36.0 + 12.0))


def test_diamonds_of_unequal_depth():
    x = leaf(2.0)
    short = x * x
    long = tg.log(tg.exp(tg.exp(tg.log(short))))
    (short * long + x).backward()  # x^4 + x
    same(x.grad, 33.0)


def test_one_tensor_in_several_places():
    x, w = leaf([1.0, 2.0]), leaf([[1.0, 2.0], [3.0, 4.0]])
    hidden = w @ x  # [5, 11]
    (hidden * x + w.sum() * x).sum().backward()
    same(x.grad, [5 + 10 + (1 + 6), 11 + 10 + (2 + 8)])
    same(w.grad, np.outer([1.0, 2.0], [1.0, 2.0]) + 3.0)


def test_one_tensor_in_all_arguments_of_one_call():
    x = leaf([2.0, 3.0])
    tg.concatenate([x, x * 2.0, x]).backward(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    same(x.grad, [1 + 6 + 5, 2 + 8 + 6])
    x.grad = None
    tg.where(np.array([True, False]), x, x).sum().backward()
    same(x.grad, [1.0, 1.0])
    x.grad = None
    tg.einsum("i,i,i->", x, x, x).backward()
    same(x.grad, [12.0, 27.0])


def test_a_product_of_two_views_of_one_tensor():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    (x * x.T).sum().backward()
    same(x.grad, [[2.0, 6.0], [4.0, 8.0]])
    x.grad = None
    (x[0] * x[1]).sum().backward()
    same(x.grad, [[3.0, 4.0], [1.0, 2.0]])


def test_broadcasting_is_undone():
    row, column, number = leaf([1.0, 2.0, 3.0]), leaf([[10.0], [20.0]]), leaf(2.0)
    upstream = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    (row * column * number).backward(upstream)
    same(row.grad, 2.0 * (10.0 * upstream[0] + 20.0 * upstream[1]))
    same(column.grad, [[2.0 * (1 + 4 + 9)], [2.0 * (4 + 10 + 18)]])
    same(number.grad, 10.0 * 14.0 + 20.0 * 32.0)


# --- .grad -----------------------------------------------------------------------------------------------------------


def test_gradients_add_up_over_backward_calls():
    x = leaf([1.0, 2.0])
    (x * 3.0).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    same(x.grad, [5.0, 7.0])
    same(first, [3.0, 3.0])  # whoever kept it has it as it was
    x.grad = None
    x.sum().backward()
    same(x.grad, [1.0, 1.0])


def test_grad_is_for_leaves_only():
    x, constant = leaf(2.0), tg.tensor(5.0)
    y = x * constant
    z = y * y
    z.backward()
    assert (y.grad, z.grad, constant.grad) == (None, None, None)
    same(x.grad, 100.0)


def test_backward_from_a_leaf():
    x = leaf([1.0, 2.0])
    x.backward([3.0, 4.0])
    same(x.grad, [3.0, 4.0])


def test_a_leaf_that_died_before_the_walk_is_skipped():
    x, y = leaf(2.0), leaf(3.0)
    z = x * y
    del y
    z.backward()
    same(x.grad, 3.0)


def test_an_unused_branch_is_not_walked():
    calls = []
    x = leaf(2.0)
    tg.exp(x)  # nobody asks for it
    y = x * x
    with tg.hooks.watch(backward=lambda node, *_: calls.append(node.op)):
        y.backward()
    assert calls == ["mul"]


def test_grad_can_be_set_and_must_fit():
    x = leaf([1.0, 2.0])
    x.grad = np.array([5.0, 6.0])
    x.sum().backward()
    same(x.grad, [6.0, 7.0])
    with pytest.raises(tg.ShapeError) as caught:
        x.grad = tg.ones(3)
    assert str(caught.value) == "grad: shape (3,) does not fit the tensor of shape (2,)"
    same(x.grad, [6.0, 7.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_gradients_have_the_type_of_their_tensor(dtype):
    x, other = leaf([1.0, 2.0], dtype), leaf([3.0, 4.0], np.float64)
    (x * other).sum().backward()
    assert (x.grad.dtype, other.grad.dtype) == (dtype, np.float64)
    x.grad = None
    (x * 2.5).sum().backward(np.float64(2.0))
    assert x.grad.dtype == dtype
    same(x.grad, [5.0, 5.0])


# --- the upstream gradient -------------------------------------------------------------------------------------------

UPSTREAM = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, 4.0]])
SPELLINGS = {
    "array": UPSTREAM,
    "list": UPSTREAM.tolist(),
    "tensor": tg.tensor(UPSTREAM),
    "float32": UPSTREAM.astype(np.float32),
    "transposed": np.ascontiguousarray(UPSTREAM.T).T,
    "negative strides": UPSTREAM[::-1, ::-1].copy()[::-1, ::-1],
    "every other": np.repeat(UPSTREAM, 2, axis=1)[:, ::2],
    "big-endian": UPSTREAM.astype(">f8"),
    "read-only": np.frombuffer(UPSTREAM.tobytes()).reshape(2, 3),
}


@pytest.mark.parametrize("upstream", SPELLINGS.values(), ids=SPELLINGS)
def test_upstream_gradients_in_every_spelling(upstream):
    x = leaf(np.arange(6.0).reshape(2, 3))
    (x * x).backward(upstream)
    same(x.grad, 2.0 * np.arange(6.0).reshape(2, 3) * UPSTREAM)


def test_an_upstream_gradient_with_stride_0():
    x, w = leaf(np.arange(6.0).reshape(2, 3)), leaf(np.ones((4, 3)))
    upstream = np.broadcast_to(np.array([1.0, 2.0, 3.0, 4.0]), (2, 4))
    assert upstream.strides == (0, 8)
    tg.linear(x, w).backward(upstream)
    same(w.grad, upstream.T @ x.data)
    same(x.grad, np.full((2, 3), 10.0))


def test_an_integer_upstream_gradient_becomes_the_outputs_type():
    x = leaf([1.0, 2.0], np.float32)
    (x * 1.0).backward(np.array([3, 4]))
    assert x.grad.dtype == np.float32
    same(x.grad, [3.0, 4.0])


def test_the_upstream_gradient_is_not_changed():
    upstream = np.array([1.0, 2.0])
    upstream.flags.writeable = False
    x = leaf([3.0, 4.0])
    y = x * 1.0
    y.backward(upstream, retain_graph=True)
    y.backward(upstream)
    same(x.grad, [2.0, 4.0])
    np.testing.assert_array_equal(upstream, [1.0, 2.0])


@pytest.mark.parametrize(
    ("shape", "given"), [((2, 3), (3,)), ((2, 3), (3, 2)), ((3,), (1,)), ((3,), ()), ((), (1,)), ((1,), ())]
)
def test_an_upstream_gradient_of_another_shape_is_refused(shape, given):
    x = leaf(np.ones(shape))
    y = x * 1.0
    with pytest.raises(tg.ShapeError) as caught:
        y.backward(np.ones(given))
    assert str(caught.value) == f"backward: gradient has shape {given}, the output has shape {shape}"
    assert x.grad is None
    y.backward(np.ones(shape))  # nothing was freed


def test_backward_of_more_than_one_number_needs_an_upstream_gradient():
    x = leaf([1.0, 2.0])
    y = x * 2.0
    with pytest.raises(tg.GradError) as caught:
        y.backward()
    assert str(caught.value) == (
        "backward: the output has shape (2,), which is not a scalar; "
        "reduce it with .sum() or .mean(), or give the upstream gradient"
    )
    assert x.grad is None
    y.sum().backward()
    same(x.grad, [2.0, 2.0])


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_backward_of_one_number_needs_none(shape):
    x = leaf(np.full(shape, 3.0))
    (x * x).backward()
    same(x.grad, np.full(shape, 6.0))


def test_backward_without_anything_to_differentiate():
    with pytest.raises(tg.GradError) as caught:
        (tg.tensor(1.0) * 2.0).backward()
    with tg.no_grad():
        y = leaf(1.0) * 2.0
    with pytest.raises(tg.GradError, match="computed under no_grad"):
        y.backward()
    assert str(caught.value) == (
        "backward: the tensor requires no gradient: computed under no_grad, or from nothing with requires_grad=True"
    )


# --- nothing has changed when a rule fails ---------------------------------------------------------------------------

FAILURES = {
    "raises": lambda g, out, x: 1 / 0,
    "wrong shape": lambda g, out, x: np.ones(7),
    "wrong shape that broadcasts": lambda g, out, x: g[:1],
    "not an array": lambda g, out, x: "gradient",
}


def broken(rule):
    """A primitive that doubles; its rule is given."""

    @tg.extend.primitive(gate="function", name="twice")
    def twice(x, /):
        return x * 2

    twice.vjp(x=rule)
    return twice


@pytest.mark.parametrize("rule", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("retain_graph", [False, True])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_failing_rule_changes_nothing(rule, retain_graph, create_graph):
    x, late = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    x.grad = np.array([10.0, 20.0])
    twice = broken(rule)
    y = (twice(x) * late).sum()  # late gets its gradient before the rule is called
    kept = x.grad
    with pytest.raises((ZeroDivisionError, tg.GradError, TypeError, ValueError)):
        y.backward(retain_graph=retain_graph, create_graph=create_graph)
    assert x.grad is kept
    assert late.grad is None
    twice.vjp(x=lambda g, out, x: g * 2)
    y.backward()  # the graph is whole
    same(x.grad, [16.0, 28.0])
    same(late.grad, [2.0, 4.0])


@pytest.mark.parametrize("rule", FAILURES.values(), ids=FAILURES)
def test_a_failing_rule_leaves_gradients_and_transforms_usable(rule):
    twice = broken(rule)
    x = leaf([1.0, 2.0])
    y = twice(x).sum()
    for attempt in (lambda: tg.gradients(y, x), lambda: tg.grad(lambda v: twice(v).sum())(x)):
        with pytest.raises((ZeroDivisionError, tg.GradError, TypeError, ValueError)):
            attempt()
    assert tg.is_grad_enabled()
    twice.vjp(x=lambda g, out, x: g * 2)
    same(tg.gradients(y, x)[0], [2.0, 2.0])


def test_a_wrong_shape_names_operation_argument_and_shapes():
    x = leaf([1.0, 2.0])
    with tg.scope("encoder.0 (Twice)"):
        y = broken(lambda g, out, x: np.ones(7))(x)
    with pytest.raises(tg.GradError) as caught:
        y.sum().backward()
    assert str(caught.value) == (
        "encoder.0 (Twice): twice: the gradient rule for x returned shape (7,) for an argument of shape (2,)"
    )


def test_a_rule_of_an_element_wise_operation_may_leave_the_sum_to_the_walk_but_nothing_else():
    @tg.extend.elementwise(gate="mul", name="times")
    def times(x, y, /):
        return x * y

    times.vjp(x=lambda g, out, x, y: g * y, y=lambda g, out, x, y: (g * x)[0])
    x, y = leaf(np.ones((2, 3))), leaf(np.ones(3))
    with pytest.raises(tg.GradError) as caught:
        times(x, leaf(np.ones((1, 3)))).sum().backward()
    assert str(caught.value) == ("times: the gradient rule for y returned shape (3,) for an argument of shape (1, 3)")
    times.vjp(x=lambda g, out, x, y: g * y, y=lambda g, out, x, y: g * x)
    times(x, y).sum().backward()
    same(y.grad, [2.0, 2.0, 2.0])


def test_an_error_inside_a_rule_keeps_its_type_and_says_where():
    with tg.scope("encoder.0 (Twice)"):
        y = broken(lambda g, out, x: 1 / 0)(leaf([1.0, 2.0])).sum()
    with pytest.raises(ZeroDivisionError) as caught:
        y.backward()
    assert str(caught.value) == "division by zero"
    assert caught.value.__notes__ == ["in encoder.0 (Twice): twice: the gradient rule for x"]


def test_a_rule_that_is_none_is_an_error_only_where_a_gradient_is_needed():
    twice = broken(None)
    x = leaf([1.0, 2.0])
    with pytest.raises(tg.GradError) as caught:
        (twice(x) * x).sum().backward()
    assert str(caught.value) == "twice: not differentiable with respect to x; detach() it"
    (twice(x.detach()) * x).sum().backward()
    same(x.grad, [2.0, 4.0])


def test_a_rule_that_leads_to_nothing_wanted_is_not_called():
    x, z = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (broken(FAILURES["raises"])(tg.exp(z)) + x).sum()
    same(tg.gradients(y, x)[0], [1.0, 1.0])


@pytest.mark.parametrize("asked", [False, True])
def test_the_walk_returns_what_was_asked_for_and_nothing_else(asked):
    x = leaf([1.0, 2.0])
    h = x * 2.0
    y = h * h
    wanted = h._node if asked else x._node
    found = walk({y._node: np.array([1.0, 10.0])}, wanted=[wanted] if asked else None, retain_graph=True)
    assert list(found) == [wanted]
    np.testing.assert_array_equal(found[wanted], [4.0, 80.0] if asked else [8.0, 160.0])


@pytest.mark.parametrize(("create_graph", "kind"), [(False, np.ndarray), (True, tg.Tensor)])
def test_a_rule_sees_tensors_where_it_is_recorded_and_arrays_elsewhere(create_graph, kind):
    seen = []

    def rule(g, out, x, y):
        seen.append((type(g), type(out), type(x), type(y)))
        return g * y

    x = leaf([1.0, 2.0])
    y = product(rule, by_y, at_once=False)(x, np.array([3.0, 4.0])).sum()
    tg.gradients(y, x, create_graph=create_graph)
    assert seen == [(kind, kind, kind, np.ndarray)]  # a constant stays an array


def test_infinite_gradients_come_without_a_warning():
    x = leaf([0.0, 4.0])
    tg.sqrt(x).sum().backward()
    same(x.grad, [np.inf, 0.25])


def test_an_error_in_the_rule_for_all_gradients_names_the_operation(monkeypatch):
    def fails(*args, **options):
        raise ZeroDivisionError("no")

    monkeypatch.setattr(tg.linear, "vjp_arrays", fails)
    y = tg.linear(leaf([[1.0]]), np.ones((1, 1))).sum()
    with pytest.raises(ZeroDivisionError) as caught:
        y.backward()
    assert caught.value.__notes__ == ["in linear: the gradient rule for all its arguments"]


# --- large arrays ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LARGE - 1, LARGE, LARGE + 1])
def test_gradients_of_several_uses_are_added_whatever_their_size(size):
    x = tg.tensor(np.ones(size, np.float32), requires_grad=True)
    up = np.arange(size, dtype=np.float32)
    (x * 2.0 + x * 3.0).backward(up)
    np.testing.assert_array_equal(x.grad.numpy(), 5.0 * up)


def test_gradients_by_a_value_on_the_way_are_found_where_nothing_is_recorded():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2.0
    y = (h * h).sum()
    with tg.no_grad():
        (g,) = tg.gradients(y, h)
    np.testing.assert_array_equal(g.numpy(), [4.0, 8.0])


# --- what a rule may return ------------------------------------------------------------------------------------------

WAYS = {"rule by rule": False, "one rule for all": True}
every_way = pytest.mark.parametrize("at_once", WAYS.values(), ids=WAYS)


def product(rule_of_x, rule_of_y, at_once, kind=tg.extend.elementwise):
    """x * y with rules of its own: one for each argument, or one that gives both gradients on arrays."""

    @kind(gate="mul", name="product")
    def op(x, y, /):
        return x * y

    op.vjp(x=rule_of_x, y=rule_of_y)
    if at_once:
        op.vjp_arrays = lambda wanted, *args: [rule_of_x(*args), rule_of_y(*args)]
    return op


def by_x(g, out, x, y):
    return g * y


def by_y(g, out, x, y):
    return g * x


RETURNED = {
    "a number": float,
    "NumPy's number": np.float32,
    "a number of another precision": np.float64,
    "an array of another precision": lambda d: np.array(d, np.float64),
    "a tensor of its own": lambda d: tg.tensor(np.float32(d)),
    "a tensor of its own in another precision": lambda d: tg.tensor(np.float64(d)),
}


@every_way
@pytest.mark.parametrize("returned", RETURNED.values(), ids=RETURNED)
def test_what_a_rule_returns_becomes_an_array_of_the_arguments_type(returned, at_once):
    op = product(by_x, lambda *args: returned(float(by_y(*args))), at_once)
    x, y = leaf(2.0, np.float32), leaf(5.0, np.float32)
    sent = []
    with tg.hooks.watch(backward=lambda node, g, downstream: sent.extend(downstream)):
        op(x, y).backward(np.float32(3.0))
    assert [(type(d), d.dtype, d.tolist()) for d in sent] == [
        (np.ndarray, np.float32, 15.0),
        (np.ndarray, np.float32, 6.0),
    ]
    assert y.grad.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_way
def test_a_gradient_is_summed_over_broadcast_axes_in_whatever_precision_it_comes(at_once, dtype):
    op = product(by_x, lambda *args: by_y(*args).astype(dtype), at_once)
    x, y = leaf([[1.0, 2.0], [3.0, 4.0]], np.float32), leaf([5.0, 6.0], np.float32)
    op(x, y).backward(np.array([[1.0, 10.0], [2.0, 20.0]], np.float32))
    assert y.grad.dtype == np.float32
    same(y.grad, [7.0, 100.0])
    same(x.grad, [[5.0, 60.0], [10.0, 120.0]])


@every_way
def test_only_an_element_wise_operation_may_leave_the_sum_to_the_walk(at_once):
    op = product(by_x, by_y, at_once, tg.extend.primitive)
    x, y = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([5.0, 6.0])
    with pytest.raises(tg.GradError) as caught:
        op(x, y).sum().backward()
    assert str(caught.value) == "product: the gradient rule for y returned shape (2, 2) for an argument of shape (2,)"
    assert x.grad is None


@every_way
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_that_forgets_to_return_is_an_error(at_once, create_graph):
    op = product(by_x, lambda g, out, x, y: None, at_once)
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    with pytest.raises(tg.GradError) as caught:
        op(x, y).sum().backward(create_graph=create_graph)
    assert str(caught.value) == (
        "product: the gradient rule for y returned None; return the gradient, zeros where there is none, or give None "
        "in place of the rule if y is not differentiable"
    )
    assert x.grad is None


def test_one_rule_for_all_may_return_none_for_what_is_not_wanted():
    op = product(by_x, by_y, at_once=True)
    op.vjp_arrays = lambda wanted, *args: [by_x(*args), None]
    x = leaf([1.0, 2.0])
    op(x, np.array([3.0, 4.0])).sum().backward()
    same(x.grad, [3.0, 4.0])


@pytest.mark.parametrize("asked", ["x", "y"])
def test_one_rule_for_all_is_told_what_is_wanted_and_may_give_more(asked):
    told = []

    def rule(wanted, *args):
        told.append(wanted)
        return [by_x(*args), by_y(*args)]

    op = product(by_x, by_y, at_once=True)
    op.vjp_arrays = rule
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    sent = []
    with tg.hooks.watch(backward=lambda node, g, downstream: sent.append(downstream)):
        (by_gradients,) = tg.gradients(op(x, y), x if asked == "x" else y, np.array([1.0, 10.0]))
        (op(x, y.detach()) if asked == "x" else op(x.detach(), y)).backward(np.array([1.0, 10.0]))
    assert told == [[asked == "x", asked == "y"]] * 2
    expected = {"x": [3.0, 40.0], "y": [1.0, 20.0]}[asked]
    for downstream in sent:
        assert [d if d is None else d.tolist() for d in downstream] == (
            [expected, None] if asked == "x" else [None, expected]
        )
    same(by_gradients, expected)
    assert (x.grad is None, y.grad is None) == (asked == "y", asked == "x")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rule_that_computes_in_another_precision_gives_a_gradient_of_the_arguments_type(dtype):
    @tg.extend.primitive(gate="function", name="other_precision")
    def op(x, /):
        return x * 2

    other = np.float64 if dtype == np.float32 else np.float32
    op.vjp(x=lambda g, out, x: (g * 2).astype(other))
    x = leaf([1.0, 2.0], dtype)
    op(x).backward(np.array([3.0, 5.0], dtype))
    assert x.grad.dtype == dtype
    same(x.grad, [6.0, 10.0])


def test_a_recorded_gradient_of_another_precision_stays_recorded():
    op = product(lambda g, out, x, y: tg.astype(g * y * y, "float64"), by_y, at_once=False)
    x, y = leaf(2.0, np.float32), leaf(5.0, np.float32)
    (g,) = tg.gradients(op(x, y), x, create_graph=True)
    assert g.dtype == np.float32
    same(tg.gradients(g, y)[0], 10.0)
