"""The benchmarks measure what they say, and the page shows what they measured."""

import importlib
import json

import pages
import pytest

import nn

pytestmark = pytest.mark.repository

PARAMETERS = {
    "perceptron": 13_002,
    "numpy-cnn": 105_634,
    "student project": 68_030,
    "codelab": 354_002,
    "Keras convnet": 34_826,
    "LeNet-5": 61_706,
    "ResNet-20": 272_474,
    "VGG": 1_776_458,
}


@pytest.fixture
def benchmark(monkeypatch):
    """Imports a file of benchmarks/ by name."""
    monkeypatch.syspath_prepend(pages.ROOT / "benchmarks")
    return importlib.import_module


def test_the_page_shows_the_figures_of_the_last_run(benchmark):
    report = benchmark("report")
    page = report.PAGE.read_text(encoding="utf-8")
    results = json.loads(report.FIGURES.read_text(encoding="utf-8")) if report.FIGURES.exists() else {}
    assert report.filled(page, results) == page
    assert report.disturbed(results) == []
    assert [found["name"] for found in report.PART.finditer(page)] == ["facts", *report.TABLES, "scaling"]


def test_both_definitions_of_a_network_have_the_published_number_of_parameters(benchmark):
    for network in benchmark("networks").NETWORKS:
        if network.name in PARAMETERS:  # AlexNet takes a second and a quarter of a gigabyte
            own = [getattr(nn.models, network.ours)()] if network.ours else []
            counts = {sum(p.size for p in model.parameters()) for model in [network.build(nn), *own]}
            assert counts == {PARAMETERS[network.name]}, network.name


def test_the_step_by_hand_trains_like_ours(benchmark):
    networks = benchmark("networks")
    training = networks.Training(networks.BY_NAME["perceptron"], networks.OURS)
    by_hand = networks.by_hand(training)
    losses = [by_hand.train() for _ in range(4)]
    assert losses == pytest.approx(training.losses(4), rel=1e-5)
    assert losses[-1] < losses[0]


def test_a_contender_that_trains_one_network_only_has_a_dash_at_the_others(benchmark):
    rows = [
        {"name": "perceptron", "batch": 1, "goal": 4.5, "milliseconds": {"tensorgraph": 1.5, "NumPy by hand": 2.5}},
        {"name": "LeNet-5", "batch": 1, "goal": 2.5, "milliseconds": {"tensorgraph": 1.5}},
    ]
    cells = [line.split() for line in benchmark("report").networks(rows).splitlines()]
    assert [line[-2] for line in cells[2:]] == ["2.50", "-"]


def test_who_came_last_comes_first_in_the_next_round_and_the_first_round_does_not_count(benchmark):
    calls = []

    def contender(name):
        return lambda: calls.append(name) or (float(len(calls)),)

    times = benchmark("timing").take_turns({name: contender(name) for name in "ab"}, 2)
    assert calls == list("abbaab")
    assert times == {"a": [(4.0,), (5.0,)], "b": [(3.0,), (6.0,)]}


def test_a_ratio_is_the_median_of_the_ratios_of_neighbours(benchmark):
    slow, fast = [(9.0, 2.0), (9.0, 6.0), (9.0, 20.0)], [(1.0, 1.0), (1.0, 2.0), (1.0, 4.0)]
    assert benchmark("timing").ratio(slow, fast, 1) == {"median": 3.0, "low": 2.5, "high": 4.0}
    assert benchmark("timing").ratio(slow[:1], fast[:1]) == {"median": 9.0, "low": 9.0, "high": 9.0}


def test_figures_have_three_digits(benchmark):
    figure = benchmark("report").figure
    assert [figure(x) for x in (0.0, 0.0123, 0.5, 1.234, 99.94, 123.4, 1234.5)] == [
        *("-", "0.012", "0.500", "1.23", "99.9", "123", "1234")
    ]


def test_without_pytorch_the_tables_have_our_columns_only(benchmark):
    row = {"name": "LeNet-5", "batch": 1, "goal": 2.5, "milliseconds": {"tensorgraph": 1.5}}
    assert benchmark("report").networks([row]).splitlines() == [
        "| network | batch | tensorgraph, ms |",
        "| ------- | ----: | --------------: |",
        "| LeNet-5 |     1 |            1.50 |",
    ]


def test_what_others_disturbed_is_neither_reached_nor_missed(benchmark):
    report = benchmark("report")
    assert [report.mark(9.0, 4.5, others) for others in (0.0, 1.0)] == ["reached", "disturbed"]
    assert [report.mark(1.0, 4.5, others) for others in (0.0, 1.0)] == ["", "disturbed"]
    rows = [{"name": "calm", "others": 0.02}, {"name": "busy", "others": 1.5}]
    layer = {"name": "layer", "forward": {"others": 0.0}, "backward": {"others": 0.5}}
    assert report.disturbed({"networks": rows, "layers": [layer]}) == [
        "networks: busy (1.50 cores)",
        "layers: layer (0.50 cores)",
    ]


def test_filling_the_page_keeps_what_is_around_the_parts(benchmark):
    report = benchmark("report")
    page = "a\n\n<!-- networks -->\nold\n<!-- end -->\n\nb\n\n<!-- memory -->\n<!-- end -->\n\nc\n"
    wanted = "a\n\n<!-- networks -->\n\nX\n\n<!-- end -->\n\nb\n\n<!-- memory -->\n\nX\n\n<!-- end -->\n\nc\n"
    filled = wanted.replace("X", report.MISSING)
    assert report.filled(page, {}) == filled == report.filled(filled, {})
