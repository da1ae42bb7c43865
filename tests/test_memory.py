"""Graph.memory: what the tape holds for the backward pass, against what Python's memory tracer sees."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import nn
import tensorgraph as tg

DOMAIN = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)  # memory of arrays only


def traced(run):
    """The result of run, and the bytes of arrays that it left behind."""
    run()  # buffers that are kept for the next time are made in the first
    tracemalloc.start()
    try:
        result = run()
        kept = tracemalloc.take_snapshot().filter_traces([DOMAIN])
    finally:
        tracemalloc.stop()
    return result, sum(trace.size for trace in kept.traces)


@pytest.mark.parametrize("fusion", [True, False])
def test_the_total_of_a_network_is_what_the_tracer_sees(fusion):
    net, loss = nn.models.student_mnist(), nn.CrossEntropyLoss()
    images, labels = tg.zeros(4, 1, 28, 28), tg.arange(4)
    with tg.fusion(fusion):
        out, seen = traced(lambda: loss(net(images), labels))
    memory = tg.graph(out).memory()
    assert memory.total == seen
    assert memory.parameters == sum(p.nbytes for p in net.parameters())
    assert sum(memory.by_layer.values()) == sum(memory.by_op.values()) == memory.total
    assert ("max_pool2d" in memory.by_op) != fusion  # of a fused operation, what is in between is not held


def test_shared_memory_counts_once():
    x = tg.zeros(100, 70, requires_grad=True)
    out, seen = traced(lambda: tg.relu(x * 2.0).reshape(-1).sum())
    memory = tg.graph(out).memory()
    assert memory.by_op == {"mul": 28_000, "relu": 28_000, "sum": 4}
    assert memory.total == seen == 56_004
    assert (memory.parameters, memory.inputs) == (28_000, 0)
    view = tg.graph(x.reshape(-1)).memory()
    assert (view.total, view.parameters) == (0, 28_000)


def test_what_is_kept_beside_the_result_counts():
    x = tg.zeros(1, 1, 8, 8, requires_grad=True)
    out = tg.max_pool2d(x, 2)
    assert tg.graph(out).memory().total == 4 * 16 + out._node.options["winners"].nbytes


def test_data_is_an_input():
    data = tg.ones(10, 10)
    memory = tg.graph(tg.ones(10, 10, requires_grad=True) * data + data).memory()
    assert (memory.inputs, memory.parameters, memory.total) == (400, 400, 800)


def test_the_tables():
    with tg.scope("encoder"):
        h = tg.zeros(1000, 1000, requires_grad=True) * 2.0
    memory = tg.graph((h + 1.0).sum()).memory()
    assert str(memory) == (
        "7.6 MiB held for backward, freed by it\n"
        "\n"
        "by layer:\n"
        "  outside of layers     3.8 MiB\n"
        "  encoder               3.8 MiB\n"
        "\n"
        "by operation:\n"
        "  mul     3.8 MiB\n"
        "  add     3.8 MiB\n"
        "  sum     4 bytes\n"
        "\n"
        "beside it: parameters 3.8 MiB, inputs 0 bytes"
    )
    assert repr(memory) == "<Memory: 7.6 MiB for backward>"
    assert "by layer" not in str(tg.graph(tg.ones(2, requires_grad=True) * 2.0).memory())
