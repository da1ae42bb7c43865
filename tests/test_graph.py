"""The snapshot of a recorded computation: what its nodes say, and that taking it changes nothing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import nn
import tensorgraph as tg


def leaf(values, name=None):
    return tg.tensor(values, dtype="float64", requires_grad=True, name=name)


def by_name(graph, name):
    (node,) = (node for node in graph.nodes if node.name == name)
    return node


def ops(graph):
    return [node.op for node in graph.nodes]


def network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))


# --- values, gradients, names ----------------------------------------------------------------------------------------


def test_every_gate_of_a_neuron_has_its_value_and_its_gradient():
    x1, x2 = (tg.tensor(x, dtype="float64", name=name) for x, name in ((-1.0, "x1"), (-2.0, "x2")))  # the course's W1
    w1, w2, b = leaf(2.0, "w1"), leaf(-3.0, "w2"), leaf(-3.0, "b")
    graph = tg.graph(tg.sigmoid(x1 * w1 + x2 * w2 + b))
    out = 1 / (1 + np.exp(-1.0))
    g = out * (1 - out)
    expected = [
        ("input", "x1", -1, None, ()),
        ("parameter", "w1", 2, -g, ()),
        ("mul", None, -2, g, (0, 1)),
        ("input", "x2", -2, None, ()),
        ("parameter", "w2", -3, -2 * g, ()),
        ("mul", None, 6, g, (3, 4)),
        ("add", None, 4, g, (2, 5)),
        ("parameter", "b", -3, g, ()),
        ("add", None, 1, g, (6, 7)),
        ("sigmoid", None, out, 1, (8,)),
    ]
    for i, (node, (op, name, value, grad, inputs)) in enumerate(zip(graph.nodes, expected, strict=True)):
        assert (node.id, node.op, node.name, node.inputs) == (i, op, name, inputs)
        assert node.value == pytest.approx(value, rel=1e-14)
        assert node.grad is None if grad is None else node.grad == pytest.approx(grad, rel=1e-14)
    assert [node.gate for node in graph.nodes] == [None, None, "mul", None, None, "mul", "add", None, "add", "function"]
    assert graph.nodes[2].arguments == ("x", "y")
    assert graph.nodes[5].downstream == (None, pytest.approx(-2 * g))
    assert repr(graph) == "<Graph of 'sigmoid', 10 nodes>"
    assert repr(graph.nodes[1]) == "<GraphNode 1: parameter 'w1', shape ()>"
    assert graph.output is graph.nodes[-1]


def test_a_value_used_twice_goes_through_a_copy_gate():
    x = leaf(3.0, "x")
    y = x * x + 4.0 * x
    graph = tg.graph(y)
    assert ops(graph) == ["parameter", "copy", "mul", "constant", "mul", "add"]
    copy = graph.nodes[1]
    assert (copy.gate, copy.inputs, copy.value, copy.grad) == ("copy", (0,), 3, 10)  # 2x + 4
    assert graph.nodes[2].inputs == (1, 1)
    assert graph.nodes[2].downstream == (3, 3)
    assert graph.nodes[4].downstream == (None, 4)
    assert copy.downstream == (10,)


def test_an_array_used_twice_is_one_input():
    x = tg.tensor([1.0, 2.0], dtype="float64", name="x")
    graph = tg.graph((leaf([1.0, 1.0]) * x + leaf([2.0, 2.0]) * x).sum())
    assert ops(graph).count("input") == 1
    assert by_name(graph, "x").grad is None


def test_intermediate_results_have_the_names_that_they_were_given():
    z = leaf(2.0) * 3.0
    z.name = "z"
    assert by_name(tg.graph(z + 1.0), "z").op == "mul"


def test_parameters_have_their_paths_and_stand_in_the_layer_that_uses_them():
    with tg.fusion(False):
        graph = tg.graph(nn.CrossEntropyLoss()(network()(tg.ones(1, 1, 6, 6)), [0]))
    weight = by_name(graph, "4.weight")
    assert (weight.op, weight.scope, weight.layers) == ("parameter", "4 (Linear)", ("Sequential", "4 (Linear)"))
    assert [node.scope for node in graph.nodes if node.gate] == [
        "0 (Conv2d)",
        "1 (ReLU)",
        "2 (MaxPool2d)",
        "3 (Flatten)",
        "4 (Linear)",
        "CrossEntropyLoss",
    ]


def test_beside_the_parameters_of_a_module_other_leaves_are_inputs():
    image = tg.tensor(np.ones((1, 1, 6, 6), np.float32), requires_grad=True, name="image")
    graph = tg.graph(network()(image).sum())
    assert by_name(graph, "image").op == "input"
    assert by_name(graph, "image").grad.shape == (1, 1, 6, 6)


def test_options_are_apart_from_what_is_saved_for_the_rules():
    pool = tg.graph(tg.max_pool2d(leaf(np.arange(16.0).reshape(1, 1, 4, 4)), 2)).output
    assert pool.options["kernel_size"] == 2
    assert "winners" not in pool.options
    assert set(pool.saved) == {"winners"}


def test_source_lines_are_those_of_record():
    x = leaf(1.0)
    with tg.record():
        y = x * 2.0
    graph = tg.graph(y + 1.0)
    assert [node.source and node.source.code for node in graph.nodes if node.gate] == ["y = x * 2.0", None]


# --- fused operations ------------------------------------------------------------------------------------------------


def test_the_inputs_of_a_fused_operation_keep_their_names():
    x = tg.ones(3, 1, 6, 6)
    x.name = "x"
    assert by_name(tg.graph(network()(x).sum()), "x").op == "input"


def test_a_fused_operation_is_opened_into_its_gates_with_the_same_numbers():
    net, x = network(), tg.randn(3, 1, 6, 6, rng=np.random.default_rng(0))
    fused = tg.graph(net(x).sum())
    with tg.fusion(False):
        plain = tg.graph(net(x).sum())
    assert net(x).sum()._node.parents[0].parents[0].parents[0].op == "conv2d_relu_max_pool2d"
    assert ops(fused) == ops(plain)
    for one, other in zip(fused.nodes, plain.nodes, strict=True):
        assert (one.name, one.scope, one.layers, one.inputs) == (other.name, other.scope, other.layers, other.inputs)
        np.testing.assert_allclose(one.value, other.value, rtol=1e-5, atol=1e-6)
        if other.grad is not None:
            np.testing.assert_allclose(one.grad, other.grad, rtol=1e-5, atol=1e-6)


# --- a snapshot is only a look ---------------------------------------------------------------------------------------


def test_taking_a_graph_touches_no_grad_and_frees_nothing():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    graph = tg.graph(y)
    assert x.grad is None
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])
    np.testing.assert_array_equal(graph.nodes[0].grad, [2.0, 4.0])


def test_a_graph_keeps_the_values_that_were_seen():
    x = leaf([1.0, 2.0], "x")
    graph = tg.graph((x * 2.0).sum())
    with tg.no_grad():
        x[...] = 7.0
    x.data[:] = 8.0
    np.testing.assert_array_equal(by_name(graph, "x").value, [1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        graph.nodes[0].value[0] = 5.0
    with pytest.raises(AttributeError):
        graph.nodes[0].op = "other"


def test_without_grads_no_rule_runs():
    @tg.extend.primitive(gate="function", name="no_rule_for_graphs")
    def no_rule(x, /):
        return x * 2

    graph = tg.graph(no_rule(leaf(1.0)), grads=False)
    assert [node.grad for node in graph.nodes] == [None, None]
    with pytest.raises(tg.GradError, match="has no gradient rules"):
        tg.graph(no_rule(leaf(1.0)))


def test_the_gradients_of_what_is_no_scalar_are_those_of_its_sum():
    x = leaf([1.0, 2.0], "x")
    np.testing.assert_array_equal(by_name(tg.graph(x * x), "x").grad, [2.0, 4.0])


def test_a_leaf_is_a_graph_of_one_node():
    (node,) = tg.graph(leaf(2.0, "w")).nodes
    assert (node.op, node.name, node.value, node.grad) == ("parameter", "w", 2.0, 1.0)


# --- size ------------------------------------------------------------------------------------------------------------


def test_a_diamond_of_many_paths_is_walked_once():
    y = leaf(1.0)
    for _ in range(40):
        y = y + y
    graph = tg.graph(y)
    assert len(graph) == 81
    assert graph.nodes[0].grad == 2**40


def test_a_long_chain_needs_no_recursion():
    y = leaf(1.0)
    for _ in range(20_000):
        y = y + 1.0
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        graph = tg.graph(y)
    finally:
        sys.setrecursionlimit(limit)
    assert (len(graph), graph.nodes[0].grad, graph.output.value) == (40_001, 1, 20_001)


def test_many_layers_are_looked_up_once():
    class Counted(nn.Sequential):
        walks = 0

        def named_modules(self):
            Counted.walks += 1
            return super().named_modules()

    net = Counted(*(nn.Linear(2, 2) for _ in range(50)))
    assert tg.graph(net(tg.ones(1, 2))).output.scope == "49 (Linear)"
    assert Counted.walks < 5  # not once a layer, which for thousands of them took minutes


# --- mistakes --------------------------------------------------------------------------------------------------------


def test_what_is_no_graph_is_refused():
    with pytest.raises(TypeError, match=r"^graph: output must be a tensor, got float$"):
        tg.graph(1.0)
    with pytest.raises(tg.GradError, match=r"^graph: nothing was recorded: the tensor requires no gradient. Give what"):
        tg.graph(tg.ones(2))
    y = leaf(1.0) * 2.0
    y.backward()
    with pytest.raises(tg.GradError) as caught:
        tg.graph(y)
    assert str(caught.value) == (
        "graph: the graph at 'mul' was freed by an earlier backward pass; "
        "take the graph before it, or call backward(retain_graph=True)"
    )


# --- the graph of a failure ------------------------------------------------------------------------------------------


def failure(run):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the tests look at the error themselves)
        run()
    return caught.value


def test_an_error_inside_record_carries_the_graph_up_to_the_call_that_failed():
    w = leaf(np.ones((2, 3)), "w")

    def program():
        with tg.record():
            h = tg.exp(w) * 2.0
            return h @ tg.ones(2)

    error = failure(program)
    assert isinstance(error, tg.ShapeError)
    graph = error.graph
    assert ops(graph) == ["parameter", "exp", "constant", "mul", "input", "matmul"]
    failed = graph.output
    assert (failed.value, failed.shape, failed.dtype, failed.gate) == (None, None, None, "mul")
    assert failed.error == str(error)
    assert [graph.nodes[i].shape for i in failed.inputs] == [(2, 3), (2,)]
    assert failed.arguments == ("x", "y")
    assert failed.source.code == "return h @ tg.ones(2)"
    assert repr(failed) == f"<GraphNode 5: matmul, error: {error}>"


def test_an_error_in_a_model_carries_its_graph():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(31, 3))
    error = failure(lambda: net(tg.ones(2, 1, 6, 6)))
    assert ops(error.graph) == [
        "input",
        "parameter",
        "parameter",
        "conv2d",
        "relu",
        "reshape",
        "parameter",
        "parameter",
        "linear",
    ]
    failed = error.graph.output
    assert (failed.scope, failed.op) == ("3 (Linear)", "linear")
    assert [error.graph.nodes[i].name for i in failed.inputs[1:]] == ["3.weight", "3.bias"]


def test_a_layer_that_refuses_its_input_is_the_call_that_failed():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm2d(4))
    error = failure(lambda: net(tg.ones(2, 4)))
    assert ops(error.graph)[-2:] == ["linear", "1 (BatchNorm2d)"]
    assert error.graph.output.scope == "1 (BatchNorm2d)"


def test_errors_elsewhere_carry_no_graph():
    assert not hasattr(failure(lambda: leaf([1.0, 2.0]) + tg.ones(3)), "graph")


def test_a_freed_graph_does_not_hide_the_error():
    h = leaf([1.0, 2.0]) * 2.0
    h.sum().backward()

    def program():
        with tg.record():
            return h + tg.ones(3)

    error = failure(program)
    assert isinstance(error, tg.ShapeError)
    assert not hasattr(error, "graph")
