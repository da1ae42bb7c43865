"""The checker is itself tested: every rule made wrong in every way that happens in practice is caught and named."""

from __future__ import annotations

import mutations
import numpy as np
import pytest
import wrong_kernels
from op_table import ROWS
from test_ops import tracked

import nn
import tensorgraph as tg
from tensorgraph.testing import GradientError, check_grads


@pytest.mark.parametrize("kind", mutations.KINDS)
def test_every_mutant_is_caught_and_its_operation_named(kind):
    found = mutations.outcomes(kind)
    assert found
    assert [(str(mutant), said) for mutant, said in found if not said.caught(mutant.op)] == []


def test_every_rule_of_every_primitive_is_mutated():
    wanted = {(row.name, i) for row in ROWS for i in tracked(row, row.samples[0][0])}
    for kind in ("the sign flipped", "a factor of 1.001", "zero"):
        assert {(mutant.op, mutant.argument) for mutant, _ in mutations.outcomes(kind)} >= wanted


@pytest.mark.parametrize("kind", wrong_kernels.KINDS)
def test_a_kernel_that_is_wrong_in_single_precision_is_caught(kind):
    found = [(use, said) for name, use, said in wrong_kernels.all_outcomes() if name == kind]
    assert found
    missed = [
        (use.kernel, said) for use, said in found if (said.verdict, said.op in use.blamed) != ("wrong", True)
    ]  # fmt: skip
    assert missed == []


def test_every_gradient_kernel_is_mutated():
    from tensorgraph.kernels import reference

    gradients = {name for name in reference.__all__ if name.endswith("_grad")}
    assert gradients <= {use.kernel for use in wrong_kernels.USES}


@pytest.mark.parametrize("use", wrong_kernels.USES, ids=lambda use: use.kernel)
def test_right_kernels_are_right(use):
    assert tg.graph(use.run()).check().verdict == "right"


def test_a_rule_that_forgets_what_it_depends_on_is_caught_by_the_second_derivative():
    """The right numbers, and the graph cut: only the second derivative is wrong."""
    for name in ("mul", "tanh", "matmul", "conv2d", "batch_norm", "softmax"):
        ((_, _, arrays, options), *_) = mutations.first_samples(lambda row, name=name: row.name == name)
        cut = mutations.of_result(lambda d: d.detach() if isinstance(d, tg.Tensor) else d)
        with pytest.MonkeyPatch.context() as patch:
            mutations.replace_rule(patch, mutations.Mutant(name, 0, arrays, options, cut))
            call = mutations.registry[name]
            assert check_grads(lambda *a, c=call, o=options: c(*a, **o), *arrays).verdict == "right"
            with pytest.raises(GradientError) as caught:
                check_grads(lambda *a, c=call, o=options: c(*a, **o), *arrays, order=2)
            assert caught.value.verdict == "wrong"


def test_a_wrong_gradient_does_not_hide_behind_a_kink(monkeypatch):
    """At 0 ReLU cannot be judged; what it sends elsewhere can."""
    x = tg.tensor(np.array([0.0, 1.0, 2.0], np.float32), requires_grad=True)
    monkeypatch.setattr(tg.relu, "rules", (lambda g, out, x: g * (x > 0) * (1.01 if x.dtype == np.float32 else 1),))
    with pytest.raises(GradientError) as caught:
        tg.graph(tg.relu(x).sum()).check()
    assert (caught.value.verdict, caught.value.op) == ("wrong", "relu")


def test_errors_of_one_size_and_both_signs_do_not_cancel():
    """A pixel in the wrong window: what one element has too much, another has too little."""

    @tg.extend.primitive(gate="function", name="swapped")
    def swapped(x, /):
        return x * x

    def rule(g, out, x):
        d = np.array(2 * x * g)
        d.ravel()[[3, 5000]] += [0.5, -0.5]
        return d

    swapped.vjp(x=rule)
    for seed in range(10):
        with pytest.raises(GradientError, match="the gradient is wrong"):
            check_grads(swapped, np.ones((100, 100)), seed=seed)


def test_the_sum_itself_is_checked(monkeypatch):
    """The check must not use what it checks: the upstream gradient comes from no operation."""
    monkeypatch.setattr(tg.sum, "rules", (lambda g, out, x, **o: tg.broadcast_to(g * -1.0, x.shape),))
    with pytest.raises(GradientError) as caught:
        check_grads(lambda x: tg.sum(x), np.ones(3))
    assert caught.value.op == "sum"


def test_the_graph_of_the_error_has_the_culprit_marked(monkeypatch):
    monkeypatch.setattr(tg.tanh, "rules", (lambda g, out, x: g,))
    with pytest.raises(GradientError) as caught:
        check_grads(nn.Sequential(nn.Tanh(), nn.Linear(3, 2, rng=np.random.default_rng(0))), np.ones((1, 3)))
    (marked,) = (node for node in caught.value.graph.nodes if node.error is not None)
    assert (marked.op, marked.scope) == ("tanh", "0 (Tanh)")
    assert "tanh" in caught.value.graph.to_text()


@pytest.mark.repository
def test_the_tables_of_the_page_are_what_the_checks_say():
    import checking_tables

    page = checking_tables.PAGE.read_text(encoding="utf-8")
    assert checking_tables.built(page) == page, "run python tests/checking_tables.py"


HIDING = {
    "zero where float32 inside makes steps": (
        lambda x: np.exp(x.astype("float32")).astype("float64"),
        lambda g, out, x: g * 0.0,
        np.array([1e-12, 3e-9]),
    ),
    "near a kink": (
        lambda x: np.clip(x, -1e-5, 1e-5) * 1e5,
        lambda g, out, x: g * 1.001e5 * (abs(x) < 1e-5),
        np.array([1e-6]),
    ),
    "one of many huge gradients": (
        lambda x: 1e200 * np.sin(x),
        lambda g, out, x: g * 1e200 * np.cos(x) * np.where(np.arange(200) == 100, 1.01, 1.0),
        np.linspace(0.1, 2.0, 200),
    ),
}


@pytest.mark.parametrize("name", HIDING)
def test_a_wrong_rule_cannot_hide(name):
    forward, rule, x = HIDING[name]

    @tg.extend.elementwise(gate="function", name="hiding")
    def hiding(x, /):
        return forward(x)

    hiding.vjp(x=rule)
    with pytest.raises(GradientError) as caught:
        check_grads(hiding, x)
    assert (caught.value.verdict, caught.value.op) == ("wrong", "hiding")


COARSE = {  # what still shows through the rounding
    "float32": {"zero": 0.0, "the sign flipped": -1.0, "a factor of 1.001": 1.001},
    "float16": {"zero": 0.0, "the sign flipped": -1.0, "twice": 2.0},
}


STAIRS = {  # forward, the slope that is claimed, and where
    "sign": (np.sign, lambda x: abs(x) <= 1, [[0.5], [0.3, -0.7], [0.01, 0.9]]),
    "a step": (lambda x: np.where(x > 0, 1.0, 0.0), lambda x: 1.0, [[0.5], [5.0], [5.0, 1.5]]),
    "a step as if it were a sigmoid": (lambda x: np.where(x > 0, 1.0, 0.0), lambda x: 0.25 * np.exp(-abs(x)), [[0.5]]),
    "round": (np.round, lambda x: 1.0, [[0.4], [5.1], [20.3], [100.3]]),
    "round to 1/256": (
        lambda x: np.round(256 * x) / 256,
        lambda x: 1.0,
        [[0.1], [0.6, -1.15], np.random.default_rng(0).normal(size=2000)],
    ),
}


@pytest.mark.parametrize(("name", "x"), [(name, x) for name, (_, _, places) in STAIRS.items() for x in places])
def test_the_slope_of_a_staircase_is_0(name, x):
    """A rule that goes straight through is not the derivative, whatever long steps see."""
    forward, claim, _ = STAIRS[name]

    @tg.extend.elementwise(gate="function", name="stairs")
    def stairs(x, /):
        return forward(x)

    stairs.vjp(x=lambda g, out, x: g * claim(x))
    t = tg.tensor(np.array(x), requires_grad=True)
    for check in (lambda: check_grads(stairs, np.array(x)), lambda: tg.graph(stairs(t).sum()).check()):
        with pytest.raises(GradientError) as caught:
            check()
        assert (caught.value.verdict, caught.value.op, caught.value.numeric or 0.0) == ("wrong", "stairs", 0.0)


@pytest.mark.parametrize("claim", [-5.0, -0.01, 1.01, 5.0])
@pytest.mark.parametrize("kink", [0.0, 1.0, 1.0 - 1e-13])
def test_at_a_kink_a_gradient_is_wrong_that_is_not_between_the_slopes_to_both_sides(claim, kink):
    @tg.extend.elementwise(gate="max", name="rectified")
    def rectified(x, /):
        return np.maximum(x, kink)

    for slope, expected in ((claim, "wrong"), (0.3, "kink")):
        rectified.vjp(x=lambda g, out, x, slope=slope: g * slope)
        with pytest.raises(GradientError) as caught:
            check_grads(rectified, np.array([float(round(kink))]))
        assert caught.value.verdict == expected


@pytest.mark.parametrize("size", [4, 40, 400])
@pytest.mark.parametrize(("dtype", "kind"), [(dtype, kind) for dtype, kinds in COARSE.items() for kind in kinds])
def test_a_wrong_rule_cannot_hide_behind_a_coarser_type(dtype, kind, size):
    factor = COARSE[dtype][kind]

    @tg.extend.elementwise(gate="function", name="hiding")
    def hiding(x, /):
        return np.sin(x)

    hiding.vjp(x=lambda g, out, x: g * np.cos(x) * x.dtype.type(factor))
    x = np.random.default_rng(0).normal(size=size)
    for seed in range(3):
        with pytest.raises(GradientError, match="the gradient is wrong"):
            check_grads(lambda x: hiding(x.astype(dtype)).astype("float64"), x, seed=seed)


@pytest.mark.parametrize("place", [3, 90])
def test_a_wrong_element_of_many_does_not_hide_beside_kinks(place):
    """In a large argument the elements are judged together, and a kink in one would be the verdict of all."""

    @tg.extend.elementwise(gate="max", name="rectified")
    def rectified(x, /):
        return np.maximum(x, 0)

    rectified.vjp(x=lambda g, out, x: g * (x > 0) * np.where(np.arange(200) == place, 1.001, 1.0))
    x = np.linspace(0.5, 2.0, 200)
    x[[20, 130]] = 0.0
    with pytest.raises(GradientError) as caught:
        check_grads(rectified, x)
    assert (caught.value.verdict, caught.value.index, caught.value.op) == ("wrong", (place,), "rectified")


@pytest.mark.parametrize(("size", "zeros"), [(100, 0.2), (1000, 0.01), (1000, 0.05), (10_000, 0.002), (10_000, 0.5)])
@pytest.mark.parametrize("near", [0.0, 1e-6])
@pytest.mark.parametrize("factor", [-1.0, 0.9])
def test_one_wrong_element_does_not_hide_beside_hundreds_of_kinks(size, zeros, near, factor):
    """The results that have a kink are left out: in the others it shows, to check_grads and to graph.check."""
    rng = np.random.default_rng(size)
    x = rng.normal(size=size)
    at_kinks = rng.choice(size, int(size * zeros), replace=False)
    x[at_kinks] *= near
    place = np.flatnonzero(x > 0.5)[size // 10]

    @tg.extend.elementwise(gate="max", name="rectified")
    def rectified(x, /):
        return np.maximum(x, 0)

    rectified.vjp(x=lambda g, out, x: g * (x > 0) * np.where(np.arange(size) == place, factor, 1.0))
    t = tg.tensor(x, requires_grad=True)
    wrong = rectified(t) * rng.uniform(0.5, 1.5, size)
    for check in (lambda: check_grads(rectified, x), lambda: tg.graph(wrong.sum()).check()):
        with pytest.raises(GradientError, match=rf"element \[{place}\]: gradient") as caught:
            check()
        assert (caught.value.verdict, caught.value.op) == ("wrong", "rectified")


def test_a_wrong_gate_is_found_where_the_whole_function_has_kinks():
    """A single result has the kinks of all elements; the gates have them apart."""

    @tg.extend.elementwise(gate="max", name="rectified")
    def rectified(x, /):
        return np.maximum(x, 0)

    rectified.vjp(x=lambda g, out, x: g * (x > 0) * np.where(np.arange(1000) == 500, -1.0, 1.0))
    x = np.where(np.arange(1000) % 5 == 1, 0.0, np.linspace(0.5, 1.0, 1000))
    with pytest.raises(
        GradientError, match=r"at fault: the gradient rule of rectified for x: x, element \[500\]"
    ) as caught:
        check_grads(lambda x: rectified(x).sum(), x)
    assert (caught.value.verdict, caught.value.op) == ("wrong", "rectified")


def test_a_small_gradient_that_is_wrong_does_not_hide_beside_large_ones(monkeypatch):
    """Where nothing is added up, each element of a gradient in single precision is known to its own digits."""
    x = tg.tensor(np.linspace(0.5, 0.6, 8, dtype=np.float32), requires_grad=True)
    factors = np.where(np.arange(8) == 2, 1.001, 1.0).astype(np.float32)
    right = tg.exp.rules[0]
    spoiled = lambda g, out, x: right(g, out, x) * (factors if out.dtype == np.float32 else 1.0)  # noqa: E731
    monkeypatch.setattr(tg.exp, "rules", (spoiled,))
    out = (tg.exp(x) * np.array([1, 1, 1e-2, 1, 1, 1, 1, 1], np.float32)).sum()
    with pytest.raises(GradientError) as caught:
        tg.graph(out).check()
    assert (caught.value.verdict, caught.value.op) == ("wrong", "exp")
    assert "x, element [2]: gradient" in str(caught.value)
