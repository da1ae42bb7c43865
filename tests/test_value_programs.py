"""Random programs that record and write in any order, against twins that never write; and that writing is cheap."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

import tensorgraph as tg
from tensorgraph import _primitive, _tape


def leaf(values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


# --- random programs -------------------------------------------------------------------------------------------------

SHAPE = (2, 3)
OPERATIONS = [
    lambda t, u: t * u,
    lambda t, u: t - u,
    lambda t, u: t * t,
    lambda t, u: tg.maximum(t, u) * u,
    lambda t, u: tg.tanh(t),
    lambda t, u: tg.where(t > 0, t * u, u),
    lambda t, u: tg.softmax(t) * u,
    lambda t, u: t.reshape(3, 2).T[:, [2, 0, 2]],
    lambda t, u: tg.concatenate([t[:1], u[1:]]) ** 2,
    lambda t, u: (t @ u.T) @ u,
    lambda t, u: t + 0.0,
    lambda t, u: t[::-1, ::-1],
    lambda t, u: tg.broadcast_to(t[0], SHAPE),
]
HANDLES = [
    lambda t: t.data,
    lambda t: t.detach().numpy(),
    lambda t: np.asarray(t.detach()),
    lambda t: t.data[1],
    lambda t: t.data.T[1:],
    lambda t: t.reshape(-1).data,
    lambda t: t[0].data,
    lambda t: t.T.data,
]


class Program:
    """Tensors, arrays that look into them, and for every tensor a twin whose graph nobody ever writes to.

    Before a tensor is used its twin takes over its value: twin - twin + value, the gradient of which goes to the twin
    unchanged. So both compute the same derivative, of the values at the time when each operation was recorded.
    """

    def __init__(self) -> None:
        sources = [np.array([[0.5, -1.0, 2.0], [1.0, 0.25, -0.5]]), np.array([[1.0, 2.0, -1.0], [-0.5, 0.5, 1.5]])]
        self.leaves = [leaf(source) for source in sources]
        self.twin_leaves = [leaf(source) for source in sources]
        self.tensors = [*self.leaves, tg.tensor(sources[0])]
        self.twins = [*self.twin_leaves, tg.tensor(sources[0])]
        self.arrays = [source[...] for source in sources]

    def twin(self, i):
        values = np.array(self.tensors[i].tolist())
        self.twins[i] = self.twins[i] - self.twins[i].detach() + values
        return self.twins[i]

    def record(self, i, j, k):
        operation = OPERATIONS[k % len(OPERATIONS)]
        i, j = i % len(self.tensors), j % len(self.tensors)
        twin = operation(self.twin(i), self.twin(j) if i != j else self.twins[i])
        self.tensors.append(operation(self.tensors[i], self.tensors[j]))
        self.twins.append(twin)

    def record_with_array(self, i, j, k):
        """An operation on a tensor and a raw array, which may be a view of any tensor."""
        array = self.arrays[j % len(self.arrays)]
        if array.shape == SHAPE:
            i = i % len(self.tensors)
            self.twins.append(self.twin(i) * array.copy())
            self.tensors.append(self.tensors[i] * array if k % 2 else array * self.tensors[i])

    def detach(self, i, j, k):
        i = i % len(self.tensors)
        self.twins.append(self.twin(i).detach())
        self.tensors.append(self.tensors[i].detach())

    def hold(self, i, j, k):
        self.arrays.append(HANDLES[j % len(HANDLES)](self.tensors[i % len(self.tensors)]))

    def drop(self, i, j, k):
        if len(self.arrays) > 1:
            del self.arrays[i % len(self.arrays)]

    def write_array(self, i, j, k):
        self.arrays[i % len(self.arrays)][...] = k % 5 - 1.5

    def write_tensor(self, i, j, k):
        t = self.tensors[i % len(self.tensors)]
        with tg.no_grad():
            if j % 5 == 0:
                t -= 0.5
            elif j % 5 == 1:
                t[0] = k % 3 - 1.0
            elif j % 5 == 2:
                t.data += 0.25
            elif j % 5 == 3:
                t.data = np.full(SHAPE, 0.75)
            else:
                t *= self.tensors[k % len(self.tensors)]
                t /= 4.0

    def write_anything(self, k):
        for i in range(len(self.arrays)):
            self.write_array(i, 0, k + i)
        for i in range(len(self.tensors)):
            self.write_tensor(i, k + i, k)

    STEPS = (record, record, record_with_array, hold, hold, drop, write_array, write_tensor, detach)

    def run(self, steps):
        for choice, i, j, k in steps:
            self.STEPS[choice % len(self.STEPS)](self, i, j, k)
        roots = [tg.softmax(self.tensors[i]) * self.tensors[i] for i in range(len(self.tensors))]
        twin_roots = [tg.softmax(self.twin(i)) * self.twins[i] for i in range(len(self.tensors))]
        root, twin_root = (tg.stack(items).sum() for items in (roots, twin_roots))
        twin_root.backward()
        expected = [np.array(twin.grad.tolist()) for twin in self.twin_leaves]
        for last in (False, True):  # the second walk must not see what was written to the gradients of the first
            self.write_anything(k=int(last))
            root.backward(retain_graph=not last)
            for t, values in zip(self.leaves, expected, strict=True):
                np.testing.assert_allclose(np.array(t.grad.tolist()), values, rtol=1e-12, atol=1e-12)
                self.arrays.append(t.grad.data)
                self.arrays.append(t.grad.data[0])
                self.tensors.append(t.grad)
                t.grad = None


numbers = st.integers(0, 99)
programs = st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=25)


@settings(max_examples=examples(300))
@given(programs)
def test_random_programs_have_the_gradients_of_their_twins(steps):
    Program().run(steps)


def test_long_random_programs_have_the_gradients_of_their_twins():
    run_random_programs(count=100, length=60)


def run_random_programs(count, length):
    rng = np.random.default_rng(0)
    for _ in range(count):
        Program().run(rng.integers(0, 100, (length, 4)).tolist())


TENSOR = sys.modules[tg.Tensor.__module__]  # the module, which the function tg.tensor hides
FAULTS = {
    "the tape keeps what the user can write to": (_primitive, "keepable", lambda tensor: tensor._array),
    "data without a copy": (TENSOR, "expose", lambda tensor: tensor._array),
    "in-place operators without a copy": (TENSOR, "writable", lambda tensor: tensor._array),
    "views are not counted": (_tape, "_references", lambda tensor: 0),
}


@pytest.mark.parametrize(("module", "name", "fault"), FAULTS.values(), ids=FAULTS)
def test_the_random_programs_find_a_tape_that_looks_away(module, name, fault, monkeypatch):
    monkeypatch.setattr(module, name, fault)
    with pytest.raises((AssertionError, ValueError)):  # a wrong gradient, or a write to a read-only view
        run_random_programs(count=50, length=25)


# --- gradients are values too ----------------------------------------------------------------------------------------


def spoil(t):
    """Write to a tensor in every way."""
    t.data[...] = 77.0
    with tg.no_grad():
        t *= 2.0
        t[...] = 55.0
    t.data += 1.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_two_leaves_do_not_share_their_gradient(create_graph):
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (a + b).backward([5.0, 6.0], create_graph=create_graph)
    spoil(a.grad)
    assert b.grad.tolist() == [5.0, 6.0]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("kind", [np.array, tg.tensor])
@pytest.mark.parametrize("held", [False, True])
def test_the_users_upstream_gradient_stays_the_users(kind, held, create_graph):
    x, upstream = leaf([1.0, 2.0]), kind(np.array([5.0, 6.0]))
    handle = upstream.data if held and kind is tg.tensor else upstream
    for root in (x + 0.0, x):
        x.grad = None
        handle[...] = [5.0, 6.0]
        root.backward(upstream, create_graph=create_graph)
        handle[...] = 77.0
        assert x.grad.tolist() == [5.0, 6.0]
        spoil(x.grad)
        assert upstream.tolist() == [77.0, 77.0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_results_of_gradients_are_the_callers(create_graph):
    a, b, upstream = leaf([1.0, 2.0]), leaf([3.0, 4.0]), tg.tensor(np.array([5.0, 6.0]))
    handle = upstream.data
    first, second = tg.gradients(a + b, [a, b], upstream, create_graph=create_graph)
    handle[...] = 0.0
    spoil(first)
    assert second.tolist() == [5.0, 6.0]
    assert upstream.tolist() == [0.0, 0.0]


def test_a_gradient_written_to_between_two_walks():
    x = leaf([1.0, 2.0])
    y = tg.exp(x).sum()
    y.backward(retain_graph=True)
    spoil(x.grad)
    x.grad = None
    y.backward()
    np.testing.assert_array_equal(x.grad.data, np.exp([1.0, 2.0]))


def test_a_gradient_that_is_part_of_a_graph():
    x = leaf([1.0, 2.0])
    (slope,) = tg.gradients((x**3).sum(), x, create_graph=True)
    out = (slope * slope).sum()  # 9 x^4
    spoil(slope)
    spoil(x)
    out.backward()
    np.testing.assert_allclose(x.grad.data, 36.0 * np.array([1.0, 8.0]))


def test_the_gradient_of_a_scalar_used_twice_is_an_array():
    x = leaf(3.0)
    (x * x).backward()
    assert type(x.grad.data) is np.ndarray
    x.grad.data[...] = 1.0
    with tg.no_grad():
        x.grad *= 2.0
    assert x.grad.item() == 2.0


# --- running statistics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [False, True])
def test_running_statistics_that_move_after_they_were_used(held):
    values = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])
    gradients = []
    for move in (False, True):
        x = leaf(values)
        mean, var = tg.zeros(2, dtype="float64"), tg.ones(2, dtype="float64")
        kept = (mean.data, var.data) if held else ()
        out = tg.batch_norm(x, mean, var, training=False) ** 2
        if move:
            tg.batch_norm(x, mean, var, training=True)
            assert mean.tolist() == pytest.approx([4 / 30, 8 / 30])
            assert all((array != start).all() for array, start in zip(kept, (0.0, 1.0), strict=False))
        out.sum().backward()
        gradients.append(x.grad.data)
    np.testing.assert_array_equal(*gradients)


# --- and writing is cheap --------------------------------------------------------------------------------------------


def address(t):
    return t._array.__array_interface__["data"][0]  # not through .data, which would count as somebody who may write


def step(w, x):
    loss = ((x @ w) ** 2).mean()
    loss.backward()
    return loss


def test_updates_after_backward_are_in_place():
    w, x = tg.ones(50, 50, requires_grad=True), tg.ones(8, 50)
    place = address(w)
    for _ in range(3):
        loss = step(w, x)  # still alive, but freed
        with tg.no_grad():
            w -= 0.01 * w.grad
            w *= 0.999
            w[0] = 0.0
        w.grad = None
        assert address(w) == place
    assert loss.item() > 0.0


def test_updates_while_a_graph_holds_the_value_are_not():
    w, x = tg.ones(50, 50, requires_grad=True), tg.ones(8, 50)
    place = address(w)
    loss = (x @ w).sum()
    with tg.no_grad():
        w -= 1.0
    assert address(w) != place
    place = address(w)
    with tg.no_grad():
        w -= 1.0
    assert address(w) == place  # the graph holds the old one
    del loss


def test_data_twice_is_one_array_and_the_tensors_own():
    w, x = tg.ones(5, 5, requires_grad=True), tg.ones(8, 5)
    first = w.data
    assert w.data is first
    assert np.shares_memory(first, w.detach().data)
    first[2] = 7.0
    assert w[2].tolist() == [7.0] * 5
    step(w, x)
    assert w.data is first
    with tg.no_grad():
        w -= 1.0
    assert w.data is first
    assert first[2].tolist() == [6.0] * 5


def test_data_dropped_costs_no_copy_later():
    w, x = tg.ones(50, 50, requires_grad=True), tg.ones(8, 50)
    place = address(w)
    w.data[0] = 3.0
    step(w, x)
    w.data[...] *= 0.5
    step(w, x)
    assert address(w) == place


def test_results_are_views_where_numpys_are():
    x = tg.arange(6, dtype="float64")
    for view in (x.reshape(2, 3), x.reshape(2, 3).T, x[1:4], tg.flip(x), tg.squeeze(x.reshape(1, 6))):
        assert np.shares_memory(view._array, x._array)


def test_recording_an_operation_copies_nothing():
    x = tg.ones(50, 50, requires_grad=True)
    nodes = []
    with tg.hooks.watch(forward=nodes.append):
        y = x * x
    assert nodes[0].arrays[0] is nodes[0].arrays[1] is x._array
    assert nodes[0].out is y._array
