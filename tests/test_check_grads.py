"""check_grads and graph.check decide: right, wrong, kink, or why there is no telling; and they name the culprit."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

import nn
import tensorgraph as tg
from tensorgraph.testing import GradientError, check_grads


def verdict(f, *inputs, **options):
    with pytest.raises(GradientError) as caught:
        check_grads(f, *inputs, **options)
    return caught.value


def wrong_op(name, rule, forward=lambda x: x * x * x):
    """An operation x^3 with a rule of its own."""

    @tg.extend.primitive(gate="function", name=name)
    def op(x, /):
        return forward(x)

    op.vjp(x=rule)
    return op


# --- right -----------------------------------------------------------------------------------------------------------

X = np.array([0.5, -1.25, 2.0])

RIGHT = {
    "smooth": lambda x: tg.sin(x) * tg.exp(x),
    "several results": lambda x: (tg.sin(x), x.sum()),
    "flat": lambda x: x * 0.0 + 3.0,
    "flat in part": lambda x: tg.relu(x - 1.0),
    "a large offset": lambda x: x + 1e10,
    "a large offset, taken away": lambda x: (x + 1e10) - 1e10,
    "very steep": lambda x: tg.sin(x * 1e9),
    "tiny": lambda x: tg.tanh(x * 1e-12),
    "huge": lambda x: tg.tanh(x) * 1e12,
    "steep": lambda x: tg.sin(x * 1e5),
    "near a kink": lambda x: tg.relu(x - 0.499999),
    "near a tie": lambda x: tg.maximum(x, 0.5000001),
    "at the edge of its domain": lambda x: tg.sqrt(x * x + 1e-8),
    "a power": lambda x: tg.abs(x) ** 1.5,
    "a result that depends on nothing": lambda x: tg.tensor([1.0, 2.0]),
    "computed in single precision": lambda x: tg.exp(x.astype("float32")),
    "constant": lambda x: tg.softmax(x, axis=0).sum(),
    "linear": lambda x: 3.0 * x - 2.0,
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_and_awkward_functions_are_right(name):
    assert check_grads(RIGHT[name], X).verdict == "right"


def test_the_report_says_what_was_compared():
    x = tg.tensor(X, name="x")
    assert check_grads(lambda x, n: x * 2.0, x, 3).checked == ("x",)
    assert check_grads(lambda x: x * x, X, order=2).checked == (
        "input 0",
        "input 0, second order",
        "upstream gradient 0, second order",
    )


def test_only_tensors_that_ask_for_gradients_are_checked_if_some_do():
    w = tg.tensor(X, requires_grad=True, name="w")
    assert check_grads(lambda x, w: (x * w).sum(), tg.tensor(X), w).checked == ("w",)
    assert check_grads(lambda x, w: (x * w).sum(), tg.tensor(X), tg.tensor(X)).checked == ("input 0", "input 1")


def test_modules_are_checked_with_their_parameters_and_left_as_they_were():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Sigmoid(), nn.Flatten(), nn.Linear(8, 3))
    before = {name: value.copy() for name, value in net.state_dict().items()}
    report = check_grads(net, tg.randn(3, 1, 4, 4, rng=np.random.default_rng(0)), order=2)
    assert "0.weight" in report.checked
    assert "4.bias, second order" in report.checked
    for name, value in net.state_dict().items():
        assert value.dtype == before[name].dtype
        np.testing.assert_array_equal(value, before[name])
    assert all(p.grad is None for p in net.parameters())


def test_float32_inputs_are_checked_in_double_precision():
    x = tg.tensor([0.3, 0.4], requires_grad=True)
    check_grads(lambda x: tg.exp(x) / x, x)
    assert x.dtype == np.float32
    assert x.grad is None


# --- wrong -----------------------------------------------------------------------------------------------------------

RULES = {
    "sign": lambda g, out, x: -3 * x * x * g,
    "a factor of 1.001": lambda g, out, x: 3.003 * x * x * g,
    "a term dropped": lambda g, out, x: 2 * x * x * g,
    "zero": lambda g, out, x: 0 * g,
    "blind to the upstream gradient": lambda g, out, x: 3 * x * x,
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", [(3,), (40, 25)])
def test_wrong_rules_are_caught_and_named(name, shape):
    op = wrong_op("wrong_cube", RULES[name])
    x = np.random.default_rng(1).uniform(0.5, 2.0, shape)
    error = verdict(lambda x: tg.exp(op(tg.sin(x))), x)
    assert (error.verdict, error.op, error.argument) == ("wrong", "wrong_cube", "input 0")
    assert "at fault: the gradient rule of wrong_cube for x" in str(error)


def test_one_wrong_element_in_ten_thousand_is_found():
    def rule(g, out, x):
        d = np.array(3 * x * x * g)
        if d.size > 77:
            d.flat[77] *= 1.01
        return d

    op = wrong_op("one_wrong", rule)
    error = verdict(op, np.random.default_rng(2).uniform(0.5, 2.0, (100, 100)))
    assert (error.verdict, error.index) == ("wrong", (0, 77))
    assert error.analytic == pytest.approx(1.01 * error.numeric, rel=1e-6)
    assert error.error < 1e-6


def test_a_wrong_element_of_a_thousandth_among_ten_thousand_is_found():
    """Steps that are small enough for it hide it beside the others; those along which it shows are long for it."""
    op = wrong_op("small_one", lambda g, out, x: g * 2 * x * (np.arange(10_000.0) != 77), lambda x: x * x)
    x = np.random.default_rng(2).uniform(0.5, 2.0, 10_000)
    x[77] = 1e-3
    error = verdict(op, x)
    assert (error.verdict, error.index, error.op) == ("wrong", (77,), "small_one")
    assert error.analytic == 0
    assert abs(error.numeric) > 1e-3


def test_a_detached_value_is_wrong():
    error = verdict(lambda x: x.detach() * x, X)
    assert error.verdict == "wrong"
    assert error.op is None  # every rule is right by itself


def test_a_wrong_second_derivative_is_caught():
    op = wrong_op("first_right", lambda g, out, x: g * 3 * (x.detach() if isinstance(x, tg.Tensor) else x) ** 2)
    assert check_grads(op, X).verdict == "right"
    error = verdict(op, X, order=2)
    assert (error.verdict, error.argument) == ("wrong", "input 0, second order")


def test_the_message_says_all():
    op = wrong_op("wrong_sign", lambda g, out, x: -3 * x * x * g)
    error = verdict(op, np.array([0.5, -1.25, 2.0]), seed=4)
    head, numbers, culprit, again = str(error).splitlines()
    assert head == "check_grads: the gradient is wrong"
    assert numbers.startswith("  input 0, element [2]: gradient ")
    assert ", by differences " in numbers
    assert culprit.startswith("  at fault: the gradient rule of wrong_sign for x: x, element [")
    assert again == "  again: tg.testing.check_grads(f, ..., order=1, seed=4)"


# --- no judgement ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (tg.relu, [1.0, 0.0]),
        (lambda x: tg.maximum(x, tg.tensor([1.0, 0.5])), [1.0, 2.0]),
        (lambda x: x.max(), [3.0, 1.0, 3.0]),
        (lambda x: tg.max_pool2d(x.reshape(1, 1, 2, 2), 2), [1.0, 2.0, 2.0, 0.0]),
        (lambda x: tg.clip(x, 0.0, 1.0), [0.0, 0.5]),
    ],
)
def test_at_a_kink_there_is_nothing_to_compare_with(f, x):
    error = verdict(f, np.array(x))
    assert error.verdict == "kink"
    assert str(error).startswith("check_grads: the function has a kink here: it has no gradient to compare with\n")


def test_what_rounding_hides_is_not_judged():
    assert verdict(lambda x: x + 1e21, np.array([1.0])).verdict == "precision"


def test_a_function_that_ends_nearby_is_not_judged():
    error = verdict(lambda x: tg.where(x == 0.25, x, np.nan), np.array([0.25]))
    assert error.verdict == "precision"


def test_a_function_that_refuses_what_is_outside_of_its_domain():
    logits, target = np.array([[0.5, -1.0, 2.0]]), np.array([[0.25, 0.25, 0.5]])
    assert check_grads(tg.softmax_cross_entropy, logits, target).verdict == "right"


def test_chance_is_found_out():
    count = itertools.count(1.0)
    error = verdict(lambda x: x * next(count), X)
    assert error.verdict == "nondeterministic"
    assert verdict(lambda x: tg.dropout(x, 0.5), np.ones(100)).verdict == "nondeterministic"


def test_what_is_not_finite_is_said():
    assert verdict(lambda x: tg.log(x), np.array([1.0, 0.0])).verdict == "not finite"
    error = verdict(lambda x: tg.sqrt(x), np.array([1.0, 0.0]))
    assert (error.verdict, error.index, error.op) == ("not finite", (1,), "sqrt")


def test_a_number_is_checked_if_there_is_nothing_else():
    assert check_grads(tg.exp, 1.5).checked == ("input 0",)
    assert check_grads(tg.exp, np.float32(1.5)).checked == ("input 0",)
    assert check_grads(lambda x, slope: tg.leaky_relu(x, negative_slope=slope), X, 0.1).checked == ("input 0",)
    assert verdict(lambda x: x.detach() * x, 1.5).verdict == "wrong"


def test_mistakes():
    with pytest.raises(
        TypeError, match=r"^check_grads: nothing to check: no input holds floats, and f has no parameters$"
    ):
        check_grads(lambda n: n, 3)
    with pytest.raises(TypeError, match="nothing to check"):
        check_grads(tg.exp, True)
    with pytest.raises(ValueError, match=r"^check_grads: order must be 1 or 2, got 3$"):
        check_grads(tg.exp, X, order=3)


# --- the gates of a live graph ---------------------------------------------------------------------------------------


def test_every_gate_of_a_right_graph_is_right():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3))
    x = tg.randn(2, 1, 8, 8, rng=np.random.default_rng(0))
    report = tg.graph(nn.CrossEntropyLoss()(net(x), np.array([0, 2]))).check()
    assert report.checked == ("conv2d", "relu", "max_pool2d", "reshape", "linear", "softmax_cross_entropy")


MASK = np.array([0.0, -np.inf, 0.0, 0.0])
MASKED = {
    "softmax": lambda x: tg.softmax(x + MASK),
    "where": lambda x: tg.softmax(tg.where(MASK == 0, x, -np.inf)),
    "logsumexp": lambda x: tg.logsumexp(x + MASK),
    "log_softmax": lambda x: tg.log_softmax(x + MASK)[np.array([0, 2])],
    "cross-entropy": lambda x: tg.softmax_cross_entropy(x + MASK, 3),
    "the mask alone": lambda x: x + MASK,
}


@pytest.mark.parametrize("f", MASKED.values(), ids=MASKED)
def test_infinite_values_of_a_mask_are_left_out(f):
    x = np.array([0.5, -1.25, 2.0, 0.25])
    assert check_grads(f, x).verdict == "right"
    out = f(tg.tensor(x, requires_grad=True))
    finite = out[np.isfinite(out.detach().data)] if out.ndim else out
    assert tg.graph(finite.sum()).check().verdict == "right"


def test_a_wrong_rule_does_not_hide_behind_a_mask():
    op = wrong_op("wrong_masked", lambda g, out, x: 1.01 * g, lambda x: x + MASK)
    assert verdict(op, np.array([0.5, -1.25, 2.0, 0.25])).verdict == "wrong"


def test_a_result_that_is_not_a_number_is_said():
    with np.errstate(invalid="ignore"):
        error = verdict(tg.log, np.array([-1.0, 2.0]))
    assert str(error).splitlines()[1] == "  a result is NaN; the gradient of input 0 was not compared"


@pytest.mark.parametrize("distance", [1e-9, 1.2e-10, 1e-11, 1e-12])
def test_a_gate_that_is_nearly_at_a_tie_is_right(distance):
    x = tg.tensor(np.array([1.0, 1.0 + distance]), requires_grad=True)
    assert tg.graph(x.max()).check().verdict == "right"


def test_lenet_is_checked_within_seconds():
    """Of the processor's time: who else uses the machine does not count."""
    net = nn.models.lenet5(rng=np.random.default_rng(0))
    x = tg.randn(8, 1, 32, 32, rng=np.random.default_rng(1))
    start = time.process_time()
    report = tg.graph(nn.CrossEntropyLoss()(net(x), np.arange(8))).check()
    assert time.process_time() - start < 10
    assert report.checked.count("conv2d") == 3


def test_the_first_culprit_is_named_with_its_layer_and_line_and_marked():
    op = wrong_op("wrong_in_layer", RULES["a factor of 1.001"])
    x = tg.tensor(np.random.default_rng(0).uniform(0.5, 1.0, (4, 3)).astype("float32"), requires_grad=True)
    with tg.record(), tg.scope("head (Cube)"):
        y = op(tg.exp(x))
    graph = tg.graph(y.sum())
    with pytest.raises(GradientError) as caught:
        graph.check()
    error = caught.value
    assert (error.verdict, error.op, error.scope) == ("wrong", "wrong_in_layer", "head (Cube)")
    assert "at fault: head (Cube): the gradient rule of wrong_in_layer for x (recorded at " in str(error)
    (marked,) = (node for node in error.graph.nodes if node.error is not None)
    assert marked.op == "wrong_in_layer"


def test_gradients_that_are_wrong_only_in_single_precision_are_found():
    def rule(g, out, x):
        return g * 3 * x * x * (1.001 if x.dtype == np.float32 else 1.0)

    op = wrong_op("wrong_in_single", rule)
    x = tg.tensor([0.5, 1.5], requires_grad=True)
    with pytest.raises(GradientError, match="wrong_in_single"):
        tg.graph(op(x).sum()).check()


def test_a_rule_that_keeps_count_of_its_calls_is_nondeterministic():
    calls = []

    def rule(g, out, x):
        calls.append(x)
        return g * 3 * x * x * (1.0 if len(calls) == 1 else 1.01)

    assert verdict(wrong_op("counting", rule), X).verdict == "nondeterministic"
