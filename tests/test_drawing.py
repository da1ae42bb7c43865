"""Pictures as text: the whole DOT of known graphs, names that attack, what is folded and what is hidden."""

from __future__ import annotations

import html
import os
import re
import time
from pathlib import Path

import drawn
import numpy as np
import pytest

import nn
import tensorgraph as tg

GOLDEN = Path(__file__).parent / "golden"
rng = np.random.default_rng


def leaf(values, name=None):
    return tg.tensor(values, dtype="float64", requires_grad=True, name=name)


def check_golden(name, text):
    """Compare with the file; REWRITE_GOLDEN=1 in the environment writes it anew, to be looked at before a commit."""
    file = GOLDEN / name
    if os.environ.get("REWRITE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def boxes(dot):
    """The identifiers of all boxes, without those of values on edges and of the legend."""
    return re.findall(r"^ *(n\d+(?:_\d+)?) \[", dot, re.MULTILINE)


def shown(dot):
    """The text that a reader sees."""
    visible = re.sub(r'tooltip="(?:[^"\\]|\\.)*"', "", dot)
    return html.unescape(re.sub(r"<[^<>]*>", " ", visible)).replace("\xa0", " ")


def titles(dot):
    """The titles of the frames."""
    return re.findall(r"graph \[label=<<B>(.*?)</B>>", dot)


# --- whole texts -----------------------------------------------------------------------------------------------------


def test_the_neuron():
    check_golden("neuron.dot", tg.draw(drawn.neuron()).to_dot())


def toy_cnn():
    """A network whose numbers are exact, so that the text is the same on every machine."""
    net = nn.Sequential(
        {"conv": nn.Conv2d(1, 2, 2), "pool": nn.MaxPool2d(2), "flat": nn.Flatten(), "out": nn.Linear(8, 1)}
    )
    values = {
        "conv.weight": np.array([[[[1, 0], [0, -1]]], [[[0.5, 0.5], [0.5, 0.5]]]]),
        "conv.bias": np.array([0.25, -0.5]),
        "out.weight": np.array([[2.0, -1.0, 0.5, 0.0, 0.0, 0.5, 1.0, -2.0]]),
        "out.bias": np.array([1.0]),
    }
    net.load_state_dict(values)
    image = tg.tensor(np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5) % 7, requires_grad=True, name="image")
    with tg.fusion(False):
        return net(image).sum()


def test_a_network_with_frames_and_heat_maps():
    check_golden("network.dot", tg.draw(toy_cnn()).to_dot())


def test_the_titles_of_frames_keep_out_of_the_way():
    # Across the page, arrows enter a frame from the left and titles stand above them; down the page they enter from
    # above, left of the parameters, and titles stand on the right.
    def side(loss):
        (side,) = set(re.findall(r"graph \[label=<<B>.*labeljust=(\w)", tg.draw(loss, depth=1).to_dot()))
        return side

    assert side(toy_cnn()) == "l"
    assert side(nn.CrossEntropyLoss()(drawn.lenet(rng(0))(tg.ones(1, 1, 28, 28)), [3])) == "r"


def test_a_folded_network():
    check_golden("folded.dot", tg.draw(toy_cnn(), depth=1).to_dot())


def test_a_network_as_a_table():
    check_golden("network.txt", tg.draw(toy_cnn()).to_text() + "\n")


def test_the_text_is_the_same_every_time():
    assert tg.draw(toy_cnn()).to_dot() == tg.draw(toy_cnn()).to_dot()


# --- values and gradients --------------------------------------------------------------------------------------------


def test_every_value_and_every_gradient_of_the_neuron_is_there():
    text = shown(tg.draw(drawn.neuron()).to_dot())
    for number in (
        "-1.0",
        "-2.0",
        "2.0",
        "-3.0",
        "6.0",
        "4.0",
        "1.0",
        "0.731059",
        "-0.196612",
        "-0.393224",
        "0.196612",
    ):
        assert re.search(rf"(?<![\d.-]){re.escape(number)}(?![\d.])", text), number
    for word in ("swaps", "distributes", "σ", "×", "+", "local σ(1−σ)", "parameter", "input", "w1", "x2", "z"):
        assert word in text


def test_values_and_gradients_can_be_left_out():
    y = drawn.neuron()
    assert "0.731059" not in shown(tg.draw(y, values=False).to_dot())
    assert "-0.196612" in shown(tg.draw(y, values=False).to_dot())
    assert "-0.196612" not in shown(tg.draw(y, grads=False).to_dot())
    assert "0.731059" in shown(tg.draw(y, grads=False).to_dot())
    assert tg.draw(y, grads=False).nodes[1].grad is None  # not computed either
    bare = tg.draw(y, values=False, grads=False)
    assert "shape=plain" not in bare.to_dot().partition("end [")[0]
    assert bare.to_text().splitlines()[0] == "node  name  operation  rule          inputs"


def test_every_kind_of_gate_says_its_rule():
    x, y = leaf([1.0, 2.0], "x"), leaf([3.0, 1.0], "y")
    out = (tg.maximum(x, y) * x + tg.exp(y).reshape(2)).sum()
    text = shown(tg.draw(out).to_dot())
    for word in ("swaps", "distributes", "adds", "routes", "rearranges", "local eˣ"):
        assert word in text


def test_a_power_says_its_rule_for_the_base_for_the_exponent_and_for_both():
    x, y = leaf(3.0), leaf(2.0)
    assert "local y·xʸ⁻¹ = 6.0" in tg.graph(x**2.0).to_text()
    assert f"local xʸ·ln x = {8 * np.log(2.0):.6g}" in tg.graph(2.0**x).to_text()
    assert "local y·xʸ⁻¹, xʸ·ln x " in tg.graph(x**y).to_text()


def test_kinds_have_shapes_of_their_own():
    dot = tg.draw(leaf(1.0, "w") * tg.tensor(2.0, name="x") + 3.0).to_dot()
    looks = {key: re.search(rf"^ *{key} \[.*?shape=(\w+)", dot, re.MULTILINE)[1] for key in ("n0", "n1", "n2", "n3")}
    assert looks == {"n0": "box", "n1": "note", "n2": "ellipse", "n3": "box"}
    assert len(set(re.findall(r"style=\"?([\w,]+)", "".join(re.findall(r"^ *n[03] .*", dot, re.MULTILINE))))) == 2


def test_a_gradient_stands_on_the_edge_along_which_it_flows():
    x = leaf(3.0, "x")
    dot = tg.draw(x * x + 4.0 * x).to_dot()  # x's gradient is 3 + 3 + 4
    assert shown(dot).count("3.0") >= 4
    assert re.search(r"n0 -> (v\d+):w.*\n.*\1:e -> n1", dot)
    label = re.search(r"^ *v0 \[label=<(.*)>, shape", dot, re.MULTILINE)[1]
    assert shown(label).split() == ["3.0", "10.0"]


def test_the_gradient_of_a_row_stands_beside_it():
    x = leaf([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]], "x")
    dot = tg.draw((x * x).sum()).to_dot()
    assert "rankdir=TB" in dot  # across the page, five rows of gradients would stand below five rows of values
    label = re.search(r"^ *v0 \[label=<(.*)>, shape", dot, re.MULTILINE)[1]
    rows = [" ".join(shown(line).split()) for line in re.findall(r"<TR>.*?</TR>", label)]
    assert rows[:2] == ["[ 1.0 2.0] [ 2.0 4.0]", "[ 3.0 4.0] [ 6.0 8.0]"]
    assert rows[4:] == ["[ 9.0 10.0] [18.0 20.0]"]


def test_four_rows_can_be_compared_across_the_page():
    x = leaf(np.arange(8.0).reshape(4, 2), "x")
    assert "rankdir=LR" in tg.draw((x * x).sum()).to_dot()
    y = leaf(np.arange(10.0).reshape(5, 2), "y")
    assert "rankdir=LR" in tg.draw((y * y).sum(), grads=False).to_dot()  # nothing to compare


def test_the_tooltip_of_an_edge_has_all_digits_of_its_arrays():
    x = leaf([[1 / 3, 2 / 3], [1.0, 0.0]], "x")
    dot = tg.draw((x * x * 2.0).sum()).to_dot()
    (tip,) = set(re.findall(r'^ *v0 .*tooltip="(.*)"', dot, re.MULTILINE))
    assert tip.split("\\n") == [
        "value, 2×2 float64",
        "[0.333333 0.666667]",
        "[1.000000        0]",
        "gradient, 2×2 float64",
        "[1.333333 2.666667]",
        "[4.000000        0]",
    ]


def test_nan_and_inf_are_counted():
    x = leaf(np.arange(20.0))
    with np.errstate(all="ignore"):
        y = tg.log(x - 1.0).sum()
        text = shown(tg.draw(y).to_dot())
    assert "1 nan" in text
    assert "1 inf" in text


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        'say "x"',
        "two\nlines",
        "back\\slash \\N \\n",
        "<script>alert(1)</script>",
        "&lt;b&gt; &amp;",
        "Ωmega 重み",
        "\0\ud800\x1b[31m",
    ],
)
def test_names_are_text(name):
    x = leaf([1.0], name)
    with tg.scope(f"{name} (Layer)"):
        y = (x * 2.0 + x).sum()
    y.name = name
    graph = tg.draw(y)
    dot = graph.to_dot()
    visible = name
    for old, new in (("\n", "\\n"), ("\0", "\\x00"), ("\ud800", "\\ud800"), ("\x1b", "\\x1b")):
        visible = visible.replace(old, new)
    assert f"<B>{html.escape(visible)}</B>" in dot
    assert "<script" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", dot)
    dot.encode()
    graph.to_text().encode()
    assert len(graph.to_text().splitlines()) == len(tg.draw(y).to_text().splitlines())


def test_long_names_are_cut_in_the_middle():
    dot = tg.draw(leaf(1.0, "start" + "x" * 1000 + "end") * 2.0).to_dot()
    assert re.search(r"<B>startx+…x+end</B>", dot)
    assert "x" * 100 not in dot


# --- folding ---------------------------------------------------------------------------------------------------------


def resnet_loss(**sizes):
    return nn.CrossEntropyLoss()(drawn.ResNet(**sizes)(tg.ones(2, 3, 32, 32)), [0, 1])


@pytest.fixture(scope="module")
def resnet():
    """ResNet-18 with few channels."""
    return resnet_loss(width=4, classes=10)


def test_resnet_18_is_folded_to_its_blocks(resnet):
    graph = tg.draw(resnet)
    dot = graph.to_dot()
    assert len(graph) > 140
    assert len(boxes(dot)) < 30
    text = shown(dot)
    assert "2 × BasicBlock" in text
    assert "layer1.0 … layer1.1" in text
    assert "layer4.1 (BasicBlock)" in text
    assert "hidden" not in text


def test_depth_says_how_many_levels_of_layers_are_open(resnet):
    found = [len(boxes(tg.draw(resnet, depth=depth, max_nodes=1000).to_dot())) for depth in range(6)]
    assert found[0] == 3  # the images, the network; the loss is a gate, beside its labels
    assert found == sorted(found)
    assert found[5] == len(tg.graph(resnet))


def test_a_layer_an_operation_or_a_value_can_be_expanded(resnet):
    closed = boxes(tg.draw(resnet, depth=1).to_dot())
    for name in ("layer2.0", "layer2.0 (BasicBlock)"):
        dot = tg.draw(resnet, depth=1, expand=name).to_dot()
        assert "layer2.0.downsample.0 (Conv2d)" in titles(dot)
        assert len(set(closed) - set(boxes(dot))) == 1  # layer2 is open, all others are as before
    dot = tg.draw(resnet, depth=1, expand=["add"]).to_dot()
    assert dot.count(">+</FONT>") == 8
    dot = tg.draw(resnet, depth=1, expand="layer3.1.conv2.weight").to_dot()
    assert "<B>layer3.1.conv2.weight</B>" in dot
    assert "<B>layer3.1.conv1.weight</B>" not in dot
    with pytest.raises(ValueError, match=r"draw: expand: no layer, operation or value is called 'layer9'; there are "):
        tg.draw(resnet, expand="layer9").to_dot()


def test_equal_layers_in_a_row_are_one_box():
    net = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(7)), nn.Linear(3, 1))
    dot = tg.draw(net(tg.ones(2, 3)).sum(), depth=1).to_dot()
    assert "7 × Sequential" in shown(dot)
    assert "0 … 6" in shown(dot)
    assert "14 parameters, 84 numbers" in shown(dot)


def test_of_many_equal_layers_one_is_shown_and_the_others_are_counted():
    net = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(40)), nn.Linear(3, 1))
    dot = tg.draw(net(tg.ones(2, 3)).sum()).to_dot()
    assert len(boxes(dot)) == 10
    assert "39 × Sequential" in shown(dot)
    assert "1 … 39" in shown(dot)
    assert "<B>0.0.weight</B>" in dot
    dot = tg.draw(net(tg.ones(2, 3)).sum(), expand="20").to_dot()
    assert "19 × Sequential" in shown(dot)
    assert "<B>20.0.weight</B>" in dot


def test_of_a_long_network_without_rows_the_beginning_and_the_end_are_shown():
    net = nn.Sequential(*(layer for _ in range(50) for layer in (nn.Linear(3, 3), nn.Tanh())))
    dot = tg.draw(net(tg.ones(2, 3)).sum()).to_dot()
    assert len(boxes(dot)) == 60
    assert "0 (Linear)" in shown(dot)
    assert "99 (Tanh)" in shown(dot)
    assert "hidden" in shown(dot)


def test_layers_of_another_structure_are_not_counted_as_equal():
    net = nn.Sequential(*(nn.Sequential(nn.Linear(n, n + 1), nn.Tanh()) for n in range(1, 4)))
    assert len(boxes(tg.draw(net(tg.ones(2, 1)).sum(), depth=1).to_dot())) == 5


def test_what_leaves_in_the_middle_of_a_row_is_not_lost():
    blocks = [nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(4)]
    net = nn.Sequential(*blocks)
    tap = []

    class Tapped(nn.Module):
        def __init__(self):
            self.blocks = net

        def forward(self, x):
            for i, block in enumerate(self.blocks):
                x = block(x)
                if i == 1:
                    tap.append(x)
            return (x + tap[-1]).sum()

    text = shown(tg.draw(Tapped()(tg.ones(2, 3)), depth=1).to_dot())
    assert text.count("2 × Sequential") == 2


def test_a_layer_with_shared_weights_stands_at_each_of_its_calls():
    class Twice(nn.Module):
        def __init__(self):
            self.f, self.g = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.f(tg.tanh(self.g(self.f(x)))).sum()

    y = Twice()(tg.ones(1, 2))
    dot = tg.draw(y).to_dot()
    assert dot.count("<B>f.weight</B>") == 1
    assert "f (Linear), call 1 of 2" in shown(dot)
    assert "f (Linear), call 2 of 2" in shown(dot)
    assert "<B>f.weight</B>" in tg.draw(y, depth=1).to_dot()  # outside of both calls
    assert "<B>g.weight</B>" not in tg.draw(y, depth=1).to_dot()


def test_inputs_stand_outside_of_the_layers_and_running_means_inside():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    dot = tg.draw(net(tg.ones(1, 1, 4, 4)).sum()).to_dot()
    lines = dot.splitlines()
    depth = {key: len(line) - len(line.lstrip()) for line in lines for key in re.findall(r"^ *(n\d+) \[", line)}
    inputs = [node.id for node in tg.graph(net(tg.ones(1, 1, 4, 4)).sum()).nodes if node.op == "input"]
    assert [depth[f"n{i}"] for i in inputs] == [2, *[6] * (len(inputs) - 1)]


# --- bounds ----------------------------------------------------------------------------------------------------------


def chain(length):
    y = leaf(1.0, "x")
    for _ in range(length):
        y = tg.sin(y)
    return y


def test_a_chain_of_20000_is_bounded_and_says_what_it_hides():
    start = time.perf_counter()
    graph = tg.draw(chain(20_000))
    dot = graph.to_dot()
    assert time.perf_counter() - start < 60  # seconds, by a wide margin; with recursion or squares it would never end
    assert len(graph) == 20_001
    assert len(boxes(dot)) == 60
    assert "… 19,942 nodes hidden …" in shown(dot)
    assert "19,942 sin" in shown(dot)
    assert len(graph.to_text().splitlines()) == 61
    assert len(boxes(graph.to_dot(max_nodes=10))) == 10


@pytest.mark.parametrize("most", range(2, 8))
def test_the_smallest_budget_shows_the_output(most):
    y = chain(20)
    y.name = "end of all"
    graph = tg.draw(y, max_nodes=most)
    assert len(boxes(graph.to_dot())) == most
    assert "end of all" in graph.to_text().splitlines()[-1]


def test_a_diamond_of_40_shows_all_paths():
    x = leaf(1.0, "x")
    y = x
    for _ in range(40):
        y = y + y
    text = shown(tg.draw(y).to_dot())
    assert str(2**40) in text


def test_many_values_between_two_boxes_are_one_edge():
    x = [leaf(float(i)) for i in range(300)]
    dot = tg.draw(tg.stack(x).sum()).to_dot()
    assert "values" in shown(dot)
    assert dot.count("->") < 300


def test_lenet_is_small_enough_to_be_shown_whole():
    loss = nn.CrossEntropyLoss()(drawn.lenet(rng(0))(tg.ones(1, 1, 28, 28)), [3])
    dot = tg.draw(loss).to_dot()
    assert len(boxes(dot)) == len(tg.graph(loss))
    assert dot.count("BGCOLOR") > 1000
    assert len(dot) < 500_000


# --- what went wrong -------------------------------------------------------------------------------------------------


def failed(call, *watch):
    with pytest.raises(Exception) as caught:  # noqa: PT011, PT012 (the tests of the errors look at them)
        for context in watch:
            context.__enter__()
        try:
            call()
        finally:
            for context in watch:
                context.__exit__(None, None, None)
    return caught.value.graph


def test_a_failing_call_is_drawn_with_the_shapes_that_went_in():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(5, 2))
    for options in ({}, {"depth": 0}, {"max_nodes": 2}):
        graph = failed(lambda: net(tg.ones(2, 3)))
        dot = graph.to_dot(**options)
        (line,) = (line for line in dot.splitlines() if "shape=octagon" in line)
        assert "linear failed" in line
        assert "x of shape (2, 4) does not fit" in shown(line)
        assert "end [" not in dot
        assert "failed: 2 (Linear): x of shape (2, 4) does not fit" in graph.to_text(**options)
    text = shown(failed(lambda: net(tg.ones(2, 3))).to_dot())
    for shape in ("2×4", "2×5"):
        assert shape in text
    assert "gradient" not in text


def test_what_makes_a_nan_is_drawn():
    y = leaf([-1.0, 2.0])
    with np.errstate(all="ignore"):
        dot = failed(lambda: tg.log(y).sum(), tg.detect_nan()).to_dot()
    assert "log failed" in dot
    assert "nan" in shown(dot)


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"depth": -1}, ValueError, "draw: depth must be at least 0, got -1"),
        ({"depth": 1.5}, TypeError, "draw: depth must be a whole number, got 1.5"),
        ({"max_nodes": 1}, ValueError, "draw: max_nodes must be at least 2, got 1"),
        ({"max_nodes": None}, TypeError, "draw: max_nodes must be a whole number, got None"),
        ({"expand": [1]}, TypeError, r"draw: expand must be a name or several names, got \(1,\)"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        tg.draw(drawn.neuron(), **options)
    with pytest.raises(error, match=message):
        tg.graph(drawn.neuron()).to_dot(**options)


def test_unknown_options():
    with pytest.raises(TypeError, match="draw: no option is called 'colour'; the options are values, grads, depth, "):
        tg.graph(drawn.neuron()).to_text(colour="blue")


def test_a_drawn_graph_keeps_its_options():
    graph = tg.draw(drawn.neuron(), values=False)
    assert "0.731059" not in graph.to_dot()
    assert "0.731059" in graph.to_dot(values=True)
    assert "0.731059" not in graph.to_text()


def test_what_cannot_be_drawn():
    with pytest.raises(TypeError, match="graph: output must be a tensor, got float"):
        tg.draw(1.0)
    with pytest.raises(tg.GradError, match="graph: nothing was recorded"):
        tg.draw(tg.tensor(1.0))


def test_drawing_changes_nothing():
    y = drawn.neuron()
    tg.draw(y).to_dot()
    y.backward()
    with pytest.raises(tg.GradError, match="freed"):
        tg.draw(y)


def test_a_picture_names_no_folder_of_the_machine_that_drew_it():
    x = tg.tensor(1.0, requires_grad=True)
    with tg.record():
        y = x * 2.0
    text = tg.graph(y).to_dot()
    assert "test_drawing.py:" in text
    assert __file__ not in text
