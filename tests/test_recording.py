"""What is recorded, and where: the content of a node, recording on and off, layers and lines, watchers."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading

import numpy as np
import pytest

import tensorgraph as tg


def leaf(values):
    return tg.tensor(np.array(values, np.float64), requires_grad=True)


# --- what a node knows -----------------------------------------------------------------------------------------------


def test_a_node_knows_its_operation_and_where_it_came_from():
    nodes = []
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    with tg.hooks.watch(forward=nodes.append):
        y = (x * 2.0).sum(axis=0)
    mul, total = nodes
    assert (mul.op, mul.gate, total.op, total.gate) == ("mul", "mul", "sum", "add")
    assert total.parents == (mul,)
    assert (mul.parents[0].op, mul.parents[0].gate, mul.parents[1]) == ("leaf", None, None)
    assert total.options == {"axis": 0, "keepdims": False}
    np.testing.assert_array_equal(total.arrays[0], [[2.0, 4.0], [6.0, 8.0]])
    assert mul.arrays[1] == 2.0
    np.testing.assert_array_equal(total.out, y.data)
    assert repr(total) == "<Node sum, shape (2,)>"


def test_names_reach_the_nodes():
    x = tg.tensor([1.0], requires_grad=True, name="x")
    nodes = []
    with tg.hooks.watch(forward=nodes.append):
        y = x * 2.0
    y.name = "y"
    assert (nodes[0].parents[0].name, nodes[0].name) == ("x", "y")
    x.name = "weight"
    assert nodes[0].parents[0].name == "weight"


def test_what_needs_no_gradient_is_not_recorded():
    nodes = []
    x = leaf([1.0, 2.0])
    with tg.hooks.watch(forward=nodes.append):
        tg.tensor([1.0]) * 2.0
        x.detach() * 2.0
        tg.greater(x, 0.0)
        tg.argmax(x)
        x.astype("int64")
        tg.add(np.ones(2), 1.0)
        with tg.no_grad():
            x * 2.0
    assert nodes == []


def test_scope_names_the_layer_of_a_node():
    nodes = []
    x = leaf(1.0)
    with tg.hooks.watch(forward=nodes.append):
        x + 1.0
        with tg.scope("encoder"):
            x + 1.0
            with tg.scope("encoder.0 (Linear)"):
                x + 1.0
            x + 1.0
        x + 1.0
    assert [node.scope for node in nodes] == [None, "encoder", "encoder.0 (Linear)", "encoder", None]


def test_scope_ends_after_an_error_and_keeps_no_grad():
    nodes = []
    with pytest.raises(tg.ShapeError), tg.scope("broken"):
        leaf([1.0]) + tg.ones(2, 3) @ tg.ones(2)
    with tg.hooks.watch(forward=nodes.append), tg.no_grad(), tg.scope("silent"):
        leaf(1.0) + 1.0
        assert not tg.is_grad_enabled()
    assert nodes == []


def test_scope_takes_the_text_of_its_label_only_when_somebody_looks():
    class Label:
        asked = 0

        def __str__(self):
            Label.asked += 1
            return "layer"

    with tg.scope(Label()):
        leaf(1.0) + 1.0
        assert Label.asked == 0
        with pytest.raises(tg.ShapeError, match=r"^layer: add: "):
            tg.ones(2) + tg.ones(3)
    assert Label.asked > 0


def test_record_keeps_the_users_line():
    nodes = []
    x = leaf(1.0)
    with tg.hooks.watch(forward=nodes.append):
        x + 1.0
        with tg.record():
            x * 3.0
            (x - 1.0).sum().reshape(1)
        x + 1.0
    sources = [node.source for node in nodes]
    assert [source and source.code for source in sources] == [
        None,
        "x * 3.0",
        "(x - 1.0).sum().reshape(1)",
        "(x - 1.0).sum().reshape(1)",
        "(x - 1.0).sum().reshape(1)",
        None,
    ]
    assert sources[1].file == __file__
    assert str(sources[1]) == f"{__file__}:{sources[1].line}: x * 3.0"
    assert sources[1].brief == f"test_recording.py:{sources[1].line}: x * 3.0"


def test_record_names_the_line_when_a_rule_fails():
    @tg.extend.primitive(gate="function", name="no_rule_here")
    def no_rule_here(x, /):
        return x * 2

    x = leaf(1.0)
    with tg.record():
        y = no_rule_here(x)
    with pytest.raises(tg.GradError) as caught:
        y.backward()
    line = no_rule_here.__wrapped__.__code__.co_firstlineno + 6
    assert str(caught.value) == (
        f"no_rule_here (recorded at {__file__}:{line}: y = no_rule_here(x)): "
        "has no gradient rules; give them with no_rule_here.vjp(argument=rule, ...)"
    )


# --- recording on and off --------------------------------------------------------------------------------------------


def recorded():
    return (leaf(1.0) + 1.0).requires_grad


def test_no_grad_and_enable_grad_nest_in_each_other_and_in_themselves():
    assert recorded()
    off = tg.no_grad()
    with off:
        assert not recorded()
        with tg.enable_grad():
            assert recorded()
            with off:
                assert not recorded()
                with off:
                    assert not recorded()
                assert not recorded()
            assert recorded()
        assert not recorded()
    assert recorded()


def test_no_grad_ends_after_an_error():
    with pytest.raises(KeyError), tg.no_grad():
        raise KeyError
    assert recorded()


def test_no_grad_and_enable_grad_as_decorators():
    @tg.no_grad()
    def silent(depth):
        """Its own text."""
        return [recorded(), *(silent(depth - 1) if depth else [])]

    @tg.enable_grad()
    def loud():
        return recorded()

    assert silent(3) == [False] * 4
    assert silent.__doc__ == "Its own text."
    with tg.no_grad():
        assert loud()
    with tg.enable_grad():
        assert silent(0) == [False]
    assert recorded()


def in_a_thread(function):
    """What the function returns in a new thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_no_grad_holds_for_one_thread():
    with tg.no_grad():
        assert in_a_thread(recorded)
        assert not recorded()

    def silent():
        with tg.no_grad():
            return recorded(), in_a_thread(recorded)

    assert in_a_thread(silent) == (False, True)


def test_one_decorated_function_in_many_threads_at_once():
    barrier = threading.Barrier(4)

    @tg.no_grad()
    def silent():
        barrier.wait(timeout=30)  # all four are inside
        before = recorded()
        barrier.wait(timeout=30)
        return before

    results = []
    threads = [threading.Thread(target=lambda: results.append((silent(), recorded()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(False, True)] * 4


def test_a_decorator_refuses_what_would_run_after_it():
    def generator():
        yield recorded()

    async def coroutine():
        return recorded()

    async def generator_of_a_task():
        yield recorded()

    for function in (generator, coroutine, generator_of_a_task):
        with pytest.raises(TypeError) as caught:
            tg.no_grad()(function)
        assert str(caught.value) == (
            f"{function.__name__}: a decorator would end before a generator or coroutine runs; use `with` inside it"
        )


def test_one_block_entered_in_many_threads_at_once():
    off, barrier, results = tg.no_grad(), threading.Barrier(4), []

    def enter():
        with off:
            barrier.wait(timeout=30)  # all four are inside
            before = recorded()
        barrier.wait(timeout=30)
        results.append((before, recorded()))

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(False, True)] * 4


def test_threads_walk_graphs_of_their_own():
    def slope(value):
        x = leaf(value)
        y = x
        for _ in range(200):
            y = y + x * 0.5
        y.backward()
        return x.grad.item()

    results = {}
    threads = [threading.Thread(target=lambda v=v: results.update({v: slope(v)})) for v in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(8), 101.0)


def test_no_grad_holds_for_one_context():
    with tg.no_grad():
        inherited = contextvars.copy_context()
    assert not inherited.run(recorded)
    assert recorded()
    entered = contextvars.copy_context()
    entered.run(tg.no_grad().__enter__)
    assert recorded()
    assert not entered.run(recorded)


def test_no_grad_holds_for_one_asynchronous_task():
    async def silent():
        with tg.no_grad():
            await asyncio.sleep(0)  # the other task runs here
            return recorded()

    async def loud():
        await asyncio.sleep(0)
        return recorded()

    async def both():
        return await asyncio.gather(silent(), loud(), silent(), loud())

    assert asyncio.run(both()) == [False, True, False, True]


def test_gradients_can_be_asked_for_inside_no_grad():
    x = leaf(3.0)
    y = x * x
    with tg.no_grad():
        y.backward(retain_graph=True)
        (g,) = tg.gradients(y, x, create_graph=True)
    assert x.grad.item() == 6.0
    assert tg.gradients(g, x)[0].item() == 2.0  # create_graph was asked for, so it was recorded


# --- hooks -----------------------------------------------------------------------------------------------------------


def test_watchers_see_every_node_and_every_gradient():
    seen = []
    x = leaf([1.0, 2.0])

    def backward(node, upstream, downstream):
        seen.append((node.op, upstream.tolist(), [d if d is None else d.tolist() for d in downstream]))

    with tg.hooks.watch(forward=lambda node: seen.append(node.op), backward=backward):
        (x * 3.0).sum().backward()
    assert seen == ["mul", "sum", ("sum", 1.0, [[1.0, 1.0]]), ("mul", [1.0, 1.0], [[3.0, 3.0], None])]


def test_watchers_go_when_their_block_ends_even_by_an_error():
    first, second = [], []
    x = leaf(1.0)
    with tg.hooks.watch(forward=first.append):
        with contextlib.suppress(KeyError), tg.hooks.watch(forward=second.append, backward=lambda *_: None):
            x + 1.0
            raise KeyError
        x + 1.0
    x + 1.0
    assert (len(first), len(second)) == (2, 1)
    assert tg.hooks.on_forward == tg.hooks.on_backward == []


def test_the_same_watcher_twice_sees_everything_twice():
    nodes = []
    with tg.hooks.watch(forward=nodes.append), tg.hooks.watch(forward=nodes.append):
        leaf(1.0) + 1.0
    assert len(nodes) == 2


def test_a_watcher_that_raises_stops_the_walk_and_changes_nothing():
    x = leaf(3.0)
    y = x * x

    def stop(node, upstream, downstream):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), tg.hooks.watch(backward=stop):
        y.backward()
    assert x.grad is None
    y.backward()
    assert x.grad.item() == 6.0
