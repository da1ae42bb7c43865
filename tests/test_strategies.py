"""The strategies draw what they say, programs run as they print, and gradient_property finds what is wrong."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from profiles import examples

import tensorgraph as tg
from tensorgraph.testing import GradientError, strategies


@given(strategies.tensors(away_from=0.0, low=-1.0, high=3.0))
def test_tensors_are_distinct_within_their_bounds_and_away_from_the_kink(x):
    values = x.detach().numpy().ravel()
    assert x.requires_grad
    assert x.dtype == np.float64
    assert len(set(values)) == values.size
    assert (np.abs(values) >= 0.04).all()
    assert (values >= -1.1).all()
    assert (values <= 3.1).all()


@given(strategies.tensors((2, 3), dtype="float32", layouts=False, requires_grad=False))
def test_shape_dtype_and_layout_can_be_given(x):
    assert (x.shape, x.dtype, x.requires_grad) == ((2, 3), np.float32, False)
    assert x.data.flags.c_contiguous


@given(strategies.tensors(st.just((1, 2, 3, 4))))
def test_a_strategy_for_shapes_is_taken(x):
    assert x.shape == (1, 2, 3, 4)


def test_every_layout_is_drawn():
    def strides(x):
        return x._array.strides

    tensors = strategies.tensors((2, 3, 4, 5))
    for wanted in (
        lambda x: min(strides(x)) < 0,
        lambda x: x._array.flags.f_contiguous,
        lambda x: strides(x)[-1] == 16,
        lambda x: strides(x)[1] == 8,
    ):
        assert wanted(find(tensors, wanted))


@given(strategies.broadcastable(3))
def test_broadcastable_tensors_broadcast(tensors):
    x, y, z = tensors
    assert (x + y * z).shape == np.broadcast_shapes(x.shape, y.shape, z.shape)


@settings(max_examples=examples(20))
@given(strategies.conv2d_cases())
def test_convolution_cases_fit_and_have_right_gradients(case):
    arguments = [a for a in case[:3] if a is not None]
    tg.testing.check_grads(lambda *a: tg.conv2d(*a, **case.options), *arguments)


@settings(max_examples=examples(20))
@given(strategies.pool2d_cases())
def test_pooling_cases_fit_and_have_right_gradients(case):
    tg.testing.check_grads(lambda x: tg.max_pool2d(x, **case.options), case.x)


# --- programs --------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(30))
@given(strategies.programs(max_size=12))
def test_programs_have_right_gradients(program):
    tg.testing.check_program(program)


@settings(max_examples=examples(5))
@given(strategies.programs())
def test_a_program_is_the_code_that_it_prints(program):
    assert 2 <= len(program.lines) <= 30
    space = {}
    exec(repr(program).partition("tg.testing")[0], space)
    printed = space["program"](*(space[name] for name in program.shapes))
    ran = program(*program.inputs)
    for one, other in zip(*(out if isinstance(out, tuple) else (out,) for out in (printed, ran)), strict=True):
        np.testing.assert_array_equal(one.detach(), other.detach())


def test_a_wrong_rule_shrinks_to_a_short_program(monkeypatch):
    monkeypatch.setattr(tg.tanh, "rules", (lambda g, out, x: g,))

    @settings(max_examples=300, database=None, derandomize=True)
    @given(strategies.programs(max_size=8))
    def check(program):
        tg.testing.check_program(program)

    with pytest.raises(GradientError) as caught:
        check()
    (code,) = (note for note in caught.value.__notes__ if note.startswith("import numpy"))
    assert code.count("tg.tanh") == 1
    assert code.count("\n    v") == 2  # no program has fewer lines
    assert caught.value.op == "tanh"


# --- gradient_property -----------------------------------------------------------------------------------------------


def test_a_right_function_passes_and_a_wrong_one_fails():
    @tg.testing.gradient_property(max_examples=10)
    def test_right(x):
        return x * tg.sigmoid(x)

    @tg.testing.gradient_property(strategies.tensors((2,)), max_examples=10)
    def test_wrong(x):
        return x * tg.sigmoid(x).detach()

    test_right()
    with pytest.raises(GradientError):
        test_wrong()
    assert test_right.__name__ == "test_right"


def test_second_order_is_asked_for():
    @tg.testing.gradient_property(strategies.tensors((2,)), order=2, max_examples=5)
    def smooth(x):
        return tg.exp(x) * x

    smooth()


def test_examples_at_kinks_are_passed_over():
    @tg.testing.gradient_property(st.sampled_from([0.0, 1.0]).map(np.array), max_examples=10)
    def rectified(x):
        return tg.relu(x)

    rectified()


def test_the_profile_without_deadlines_is_there_and_not_loaded():
    assert settings.get_profile("tensorgraph").deadline is None
    code = (  # a deadline of its own: the default depends on whether this is continuous integration
        "from hypothesis import settings; settings.register_profile('own', deadline=123); "
        "settings.load_profile('own'); import tensorgraph as tg; tg.testing.strategies; print(settings().deadline)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0:00:00.123000"


def test_hypothesis_is_loaded_only_when_it_is_asked_for():
    code = "import sys, tensorgraph as tg; tg.testing.check_grads; print('hypothesis' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_rule_that_goes_straight_through_a_staircase_is_wrong():
    """Not an example after the other without a judgement, which hypothesis calls a failed health check."""

    @tg.extend.elementwise(gate="function", name="binarize")
    def binarize(x, /):
        return np.sign(x)

    binarize.vjp(x=lambda g, out, x: g * (abs(x) <= 1))
    with pytest.raises(GradientError) as caught:
        tg.testing.gradient_property(max_examples=50)(lambda x: binarize(x))()
    assert (caught.value.verdict, caught.value.op) == ("wrong", "binarize")
