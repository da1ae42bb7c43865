"""What the tape promises: graphs of any length, freed when they were walked, gone when nobody reaches them."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

import tensorgraph as tg


def leaf(values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


@pytest.fixture
def no_collector():
    """The garbage collector off: what is freed then, reference counting has freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# --- any length ------------------------------------------------------------------------------------------------------

LONG_CHAINS = """
import gc, sys
import tensorgraph as tg

gc.disable()
sys.setrecursionlimit(200)
x = tg.tensor(1.0, requires_grad=True)

def chain(length):
    y = x
    for _ in range(length):
        y = y + 1.0
    return y

y = chain(1_000_000)
y.backward(retain_graph=True)
print(y.item(), x.grad.item())
node = y._node
del y  # a million nodes, each held by the one before
print(sys.getrefcount(node))
del node

y = chain(100_000)
y.backward()  # the walk frees them
try:
    y.backward()
except tg.GradError as error:
    print(error)

(slope,) = tg.gradients(chain(20_000) * x, x, create_graph=True)
print(tg.gradients(slope, x)[0].item())
"""


def test_a_chain_of_a_million_operations_under_a_recursion_limit_of_200():
    done = subprocess.run(
        [sys.executable, "-c", LONG_CHAINS],
        env=os.environ | {"PYTHONPATH": str(Path(tg.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "1000001.0 1.0",
        "2",
        "backward: the graph at 'add' was freed by an earlier backward pass; "
        "pass retain_graph=True to the first one to walk it again",
        "2.0",
    ]


def test_forty_doublings_take_forty_rule_calls():
    calls = []
    x = y = leaf(1.0)
    for _ in range(40):
        y = y + y
    with tg.hooks.watch(backward=lambda node, upstream, downstream: calls.append(node.op)):
        y.backward()
    assert x.grad.item() == 2.0**40
    assert calls == ["add"] * 40


def test_forty_doublings_are_linear_for_second_derivatives_and_for_intermediate_inputs():
    calls = []
    x = leaf(1.0)
    y = middle = x * x
    for _ in range(40):
        y = y + y
    with tg.hooks.watch(backward=lambda node, upstream, downstream: calls.append(node.op)):
        (slope,) = tg.gradients(y, x, create_graph=True)
        (by_middle,) = tg.gradients(y, middle, retain_graph=True)
        (curvature,) = tg.gradients(slope, x)
    assert [slope.item(), by_middle.item(), curvature.item()] == [2.0**41, 2.0**40, 2.0**41]
    assert len(calls) < 200


# --- freed graphs ----------------------------------------------------------------------------------------------------

FREED = (
    "backward: the graph at 'sum' was freed by an earlier backward pass; "
    "pass retain_graph=True to the first one to walk it again"
)


def test_a_freed_graph_says_so():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(tg.GradError) as caught:
        y.backward()
    assert str(caught.value) == FREED
    with pytest.raises(tg.GradError) as caught:
        (y * 2.0).backward()  # freed further down
    assert str(caught.value) == FREED
    assert x.grad.tolist() == [2.0, 4.0]


def test_retain_graph_allows_another_walk():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    with pytest.raises(tg.GradError, match="freed"):
        y.backward()


def test_create_graph_keeps_the_graph():
    x = leaf(3.0)
    y = x * x
    y.backward(create_graph=True)
    y.backward()
    assert x.grad.item() == 12.0


def test_a_freed_node_lets_go_of_its_arrays():
    nodes = []
    x = leaf([1.0, 2.0])
    with tg.hooks.watch(forward=nodes.append):
        y = tg.exp(x * x).sum()
    y.backward()
    assert [node.op for node in nodes] == ["mul", "exp", "sum"]
    assert all(node.freed and node.out is None and node.options is None and not any(node.parents) for node in nodes)
    assert [repr(node) for node in nodes] == ["<Node mul, freed>", "<Node exp, freed>", "<Node sum, freed>"]


# --- memory ----------------------------------------------------------------------------------------------------------


def network(x, weights):
    """Two layers, with a diamond, a broadcast, a view and an index on the way."""
    w1, b1, w2 = weights
    hidden = tg.relu(x @ w1 + b1)
    hidden = hidden + hidden * hidden
    return tg.softmax_cross_entropy(hidden.reshape(4, -1) @ w2, np.array([0, 1, 2, 0]))


def weights():
    rng = np.random.default_rng(0)
    shapes = (5, 6), (6,), (6, 3)
    return [tg.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


@pytest.mark.usefixtures("no_collector")
def test_a_graph_that_nobody_reaches_dies_at_once():
    arrays = []
    parameters, x = weights(), tg.ones(4, 5)
    with tg.hooks.watch(forward=lambda node: arrays.append(weakref.ref(node.out))):
        loss = network(x, parameters)
    assert len(arrays) == 8
    assert all(array() is not None for array in arrays)
    del loss
    assert [array() for array in arrays] == [None] * len(arrays)


@pytest.mark.usefixtures("no_collector")
def test_a_graph_with_recorded_gradients_dies_at_once():
    arrays = []
    parameters, x = weights(), tg.ones(4, 5)
    with tg.hooks.watch(forward=lambda node: arrays.append(weakref.ref(node.out))):
        gradients = tg.gradients(network(x, parameters), parameters, create_graph=True)
        penalty = sum((g * g).sum() for g in gradients)
    penalty.backward()
    del penalty, gradients
    assert [array() for array in arrays] == [None] * len(arrays)


@pytest.mark.usefixtures("no_collector")
def test_a_tensor_with_a_gradient_dies_at_once():
    x = leaf([1.0, 2.0])
    array = weakref.ref(x.data)
    (x * x).sum().backward(create_graph=True)
    x.grad = None
    (x * x).sum().backward()
    del x
    assert array() is None


@pytest.mark.usefixtures("no_collector")
def test_a_failed_call_and_a_failed_walk_leave_nothing_behind():
    arrays = []
    x = leaf([1.0, 2.0])
    with tg.hooks.watch(forward=lambda node: arrays.append(weakref.ref(node.out))):
        y = tg.exp(x) * x
        with contextlib.suppress(tg.ShapeError):
            y + tg.ones(3)
        with contextlib.suppress(tg.GradError):
            y.backward()
    del y
    assert [array() for array in arrays] == [None] * len(arrays)


@pytest.mark.usefixtures("no_collector")
def test_a_thousand_training_steps_leave_memory_flat():
    parameters, x = weights(), tg.ones(4, 5)

    def step():
        network(x, parameters).backward()
        with tg.no_grad():
            for p in parameters:
                p -= 0.01 * p.grad
                p.grad = None

    def memory():
        """Bytes in use, without those that Python keeps for its next tuples: a collection that sees no objects."""
        gc.freeze()
        gc.collect()
        gc.unfreeze()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        for _ in range(10):
            step()
        before = memory()
        for _ in range(1000):
            step()
        after = memory()
    finally:
        tracemalloc.stop()
    assert abs(after - before) < 4000  # bytes, where one forgotten object a step would be 16000 or more
