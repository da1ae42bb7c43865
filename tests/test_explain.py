"""tg.explain: its whole text for small graphs, bounds for large ones, and the formats."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import nn
import tensorgraph as tg


def leaf(values, name=None):
    return tg.tensor(np.asarray(values, np.float64), requires_grad=True, name=name)


def fixed(values, name=None):
    return tg.tensor(np.asarray(values, np.float64), name=name)


def neuron():
    x1, x2 = fixed(-1, "x1"), fixed(-2, "x2")  # the course's W1
    return tg.sigmoid(x1 * leaf(2, "w1") + x2 * leaf(-3, "w2") + leaf(-3, "b"))


def steps(explanation):
    """The backward pass: the lines of each step."""
    _, _, backward = str(explanation).partition("Backward pass")
    backward, _, _ = backward.partition("\nGradients\n")
    return re.split(r"\n(?=\d+\. )", backward)[1:]


def step(explanation, label):
    """The text of the one step with this label, without its number."""
    (found,) = (text for text in steps(explanation) if re.match(rf"\d+\. {re.escape(label)}(?!\S)", text))
    return re.sub(r"^\d+\. ", "", found).rstrip()


# --- whole texts -----------------------------------------------------------------------------------------------------


def test_a_neuron_as_text():
    assert str(tg.explain(neuron(), lr=0.5)) == (
        """\
What goes in
============
input      x1 = -1
parameter  w1 = 2
input      x2 = -2
parameter  w2 = -3
parameter  b = -3

Forward pass
============
#2 is the value of node 2.

mul      #2 = x1 * w1 = -1 * 2 = -2
mul      #5 = x2 * w2 = -2 * (-3) = 6
add      #6 = #2 + #5 = -2 + 6 = 4
add      #8 = #6 + b = 4 + (-3) = 1
sigmoid  L = sigmoid(#8) = sigmoid(1) = 0.731059

Backward pass: upstream * local = downstream
============================================
It starts with dL/dL = 1.

1. L: sigmoid
   multiplies: the derivative of s = sigmoid x is s (1 - s)
     dL/d#8 = dL/dL * L * (1 - L) = 1 * 0.731059 * (1 - 0.731059) = 0.196612

2. #8: add
   distributes: every input gets the upstream gradient
     dL/d#6 = dL/d#8 * 1 = 0.196612 * 1 = 0.196612
     dL/db = dL/d#8 * 1 = 0.196612 * 1 = 0.196612

3. #6: add
   distributes: every input gets the upstream gradient
     dL/d#2 = dL/d#6 * 1 = 0.196612 * 1 = 0.196612
     dL/d#5 = dL/d#6 * 1 = 0.196612 * 1 = 0.196612

4. #5: mul
   swaps: every input gets the upstream gradient times the other input
     dL/dw2 = dL/d#5 * x2 = 0.196612 * (-2) = -0.393224

5. #2: mul
   swaps: every input gets the upstream gradient times the other input
     dL/dw1 = dL/d#2 * x1 = 0.196612 * (-1) = -0.196612

Gradients
=========
parameter  dL/dw1 = -0.196612
parameter  dL/dw2 = -0.393224
parameter  dL/db = 0.196612

Gradient descent, learning rate 0.5
===================================
Every parameter takes one step against its gradient.

parameter  w1+ = w1 - 0.5 * dL/dw1 = 2 - 0.5 * (-0.196612) = 2.098306
parameter  w2+ = w2 - 0.5 * dL/dw2 = -3 - 0.5 * (-0.393224) = -2.803388
parameter  b+ = b - 0.5 * dL/db = -3 - 0.5 * 0.196612 = -3.098306
"""
    )


def test_a_product_as_markdown():
    assert tg.explain(leaf(3, "w") * 2.0, lr=0.5).to_markdown() == (
        """\
## What goes in

```text
parameter  w = 3
```

## Forward pass

```text
mul  L = w * 2 = 3 * 2 = 6
```

## Backward pass: upstream * local = downstream

It starts with dL/dL = 1.

**1.** `L: mul` swaps: every input gets the upstream gradient times the other input.

```text
dL/dw = dL/dL * 2 = 1 * 2 = 2
```

## Gradients

```text
parameter  dL/dw = 2
```

## Gradient descent, learning rate 0.5

Every parameter takes one step against its gradient.

```text
parameter  w+ = w - 0.5 * dL/dw = 3 - 0.5 * 2 = 2
```
"""
    )


def test_a_product_as_latex():
    text = tg.explain(leaf(3, "w1") * fixed(-2, "x") + 1.0, lr=0.5).to_latex()
    assert r"\fit{\text{mul}\quad v_{2} = {w_{1}} \cdot {x} = {3} \cdot {\left(-2\right)} = -6}" in text
    product = r"{\frac{\partial L}{\partial v_{2}}} \cdot {x} = {1} \cdot {\left(-2\right)} = -2"
    assert rf"\fit{{\frac{{\partial L}}{{\partial w_{{1}}}} = {product}}}" in text
    assert r"\fit{\text{parameter}\quad w_{1}^{+} = {w_{1}} - {0.5} \cdot {" in text
    assert "$v_{2}$ is the value of node 2." in text


def test_products_of_arrays_have_a_sign_of_their_own_in_latex():
    text = tg.explain((leaf([1, 2], "x") * fixed([3, 4], "y")).sum(), lr=0.5).to_latex()
    assert r"{x} \odot {y} = {\left(1,\;2\right)} \odot {\left(3,\;4\right)}" in text
    assert r"{x} - {0.5} \cdot {\frac{\partial L}{\partial x}}" in text


def test_a_leaf_is_explained():
    assert str(tg.explain(leaf(3, "w"))) == (
        "What goes in\n============\nparameter  w = 3\n\nGradients\n=========\nparameter  dw/dw = 1\n"
    )


# --- steps -----------------------------------------------------------------------------------------------------------


def test_a_value_used_several_times_gets_the_sum_of_its_gradients():
    x = leaf(3, "x")
    explanation = tg.explain(x * x + 4.0 * x)
    assert step(explanation, "#2: mul").splitlines()[-2:] == [
        "     dL/dx via #2.x = dL/d#2 * x = 1 * 3 = 3",
        "     dL/dx via #2.y = dL/d#2 * x = 1 * 3 = 3",
    ]
    assert step(explanation, "x: copy") == (
        "x: copy\n"
        "   adds: one value goes several ways, their gradients are summed\n"
        "     dL/dx = dL/dx via #2.x + dL/dx via #2.y + dL/dx via #4 = 3 + 3 + 4 = 10"
    )


def test_of_many_uses_the_first_and_the_last_are_written_out():
    x = leaf(1, "x")
    y = x * 1.0
    for k in range(2, 31):
        y = y + x * float(k)
    line = step(tg.explain(y), "x: copy").splitlines()[-1]
    assert line.endswith("= 1 + 2 + 3 + 4 + 5 + 6 + 7 + ... + 30 = 465")


def test_matrices_stand_side_by_side():
    x, w = leaf([[1, 2]], "x"), leaf([[3, -4], [0, 0.5]], "w")
    assert step(tg.explain((x @ w).sum()), "#2: matmul") == (
        "#2: matmul\n"
        "   swaps: every input gets the upstream gradient times the other input\n"
        "     dL/dx = dL/d#2 @ w^T = [1 1] @ [3.0 -4.0]^T = [-1.0 0.5]\n"
        "                                    [  0  0.5]\n"
        "\n"
        "     dL/dx[0] = 1 * 3 + 1 * (-4) = -1\n"
        "\n"
        "     dL/dw = x^T @ dL/d#2 = [1 2]^T @ [1 1] = [1 1]\n"
        "                                              [2 2]\n"
        "\n"
        "     dL/dw[0, 0] = 1 * 1 = 1"
    )


def test_large_arrays_are_shown_as_shapes():
    rng = np.random.default_rng(0)
    x, w = fixed(rng.normal(size=(8, 400)), "X"), leaf(rng.normal(size=(400, 120)), "W")
    out = x @ w
    out.name = "out"
    explanation = tg.explain(out.sum(), lr=0.1)
    assert step(explanation, "out: matmul").splitlines()[-1] == (
        "     dL/dW = X^T @ dL/dout = (8, 400)^T @ (8, 120) = (400, 120)"
    )
    assert "parameter  W+ = W - 0.1 * dL/dW = (400, 120) - 0.1 * (400, 120) = (400, 120)" in str(explanation)
    assert len(str(explanation)) < 2000


def test_a_long_vector_goes_on_in_the_next_line():
    x, w = fixed(np.arange(10) / 4, "x"), leaf(np.ones(10), "w")
    assert step(tg.explain((x * w).sum()), "#2: mul").splitlines()[2:] == [
        "     dL/dw = dL/d#2 * x = [1 1 1 1 1 1 1 1  * [   0 0.25 0.50 0.75 1.00 1.25 1.50 1.75",
        "                           1 1]                2.00 2.25]",
        "           = [   0 0.25 0.50 0.75 1.00 1.25 1.50 1.75",
        "              2.00 2.25]",
    ]


def test_numbers_without_room_become_shapes():
    x, w = fixed(np.ones((3, 9)) / 7, "x"), leaf(np.ones((3, 9)), "w")
    assert step(tg.explain((x * w).sum()), "#2: mul").splitlines()[2:4] == [
        "     dL/dw = dL/d#2 * x = (3, 9) * (3, 9)",
        "             [0.142857 0.142857 0.142857 0.142857 0.142857 0.142857 0.142857 0.142857 0.142857]",
    ]


def test_broadcasting_is_summed():
    x, b = leaf([[1, 2], [3, 4]], "x"), leaf([0.5, -1], "b")
    assert step(tg.explain((x * b).sum()), "#2: mul").splitlines()[-2:] == [
        "     dL/db = sum(dL/d#2 * x, axis=0) = sum([1 1] * [1 2], axis=0) = [4 6]",
        "                                           [1 1]   [3 4]",
    ]
    assert "dL/dc = sum(dL/d#2 * x) = sum([1 1] * [1 2]) = 3" in str(
        tg.explain((leaf([1, 2], "x") * leaf(3, "c")).sum())
    )


def test_the_winner_of_a_maximum_is_named():
    text = step(tg.explain(tg.maximum(leaf(2, "x"), leaf(5, "y"))), "L: maximum")
    assert text.splitlines()[1:] == [
        "   routes: the second input wins and gets all of the upstream gradient, the other nothing",
        "     dL/dx = dL/dL * [x wins] = 1 * 0 = 0",
        "     dL/dy = dL/dL * [y wins] = 1 * 1 = 1",
    ]


def test_parameters_of_a_module_have_their_paths_and_layers(seeded):
    seeded(0)
    model = nn.Sequential({"hidden": nn.Linear(2, 2), "act": nn.Tanh(), "out": nn.Linear(2, 1)})
    explanation = tg.explain(model(tg.tensor([[1.0, 2.0]], name="x")).sum(), lr=0.1)
    text = str(explanation)
    assert "dL/d(hidden.weight) = dL/d#3^T @ x = [" in text
    assert re.search(r"\d\. #\d+: linear, in hidden \(Linear\)\n", text)
    assert "hidden.weight+ = hidden.weight - 0.1 * dL/d(hidden.weight)" in text


def test_only_parameters_are_updated(seeded):
    model = nn.Linear(2, 1)
    x = tg.tensor([[1.0, 2.0]], requires_grad=True, name="x")
    _, _, update = str(tg.explain(model(x).sum(), lr=0.1)).partition("Gradient descent")
    assert "weight+" in update
    assert "x+" not in update


def test_two_values_of_one_name_are_told_apart():
    text = str(tg.explain(leaf(2, "w") * leaf(3, "w")))
    assert "L = w#0 * w#1 = 2 * 3 = 6" in text


def test_a_value_called_l_is_not_mistaken_for_the_output():
    assert "#2 = L * 3 = 2 * 3 = 6" in str(tg.explain(leaf(2, "L") * 3.0))


def test_the_names_of_many_parameters_are_in_the_order_of_their_numbers():
    w = {k: leaf(k, f"w{k}") for k in (10, 2, 1)}
    text = str(tg.explain(w[10] * w[2] * w[1]))
    assert re.findall(r"^parameter +dL/d(w\d+)", text, re.MULTILINE) == ["w1", "w2", "w10"]


def test_what_has_several_elements_is_explained_by_its_sum():
    text = str(tg.explain(leaf([1, 2], "x") * 2.0))
    assert "The gradients are those of their sum: dL/dL is all ones." in text
    assert "dL/dx = dL/dL * 2 = [1 1] * 2 = [2 2]" in text


def test_digits_can_be_chosen():
    assert "sigmoid(#8) = sigmoid(1) = 0.7310585786\n" in str(tg.explain(neuron(), digits=10))
    assert "sigmoid(#8) = sigmoid(1) = 0.73\n" in str(tg.explain(neuron(), digits=2))


# --- a user's own operations -----------------------------------------------------------------------------------------


def test_a_function_of_a_users_own_is_upstream_times_local():
    @tg.extend.elementwise(gate="function", name="cube_to_explain")
    def cube(x, /):
        return x * x * x

    cube.vjp(x=lambda g, out, x: g * 3 * x * x)
    assert step(tg.explain(cube(leaf(2, "x")) * 0.5), "#1: cube_to_explain") == (
        "#1: cube_to_explain\n"
        "   multiplies: the upstream gradient times the local derivative\n"
        "     dL/dx = dL/d#1 * cube_to_explain'(x) = 0.5 * 12 = 6"
    )


def test_an_operation_of_several_arrays_has_the_words_of_its_gate():
    @tg.extend.primitive(gate="wire", name="interleave_to_explain")
    def interleave(*arrays, start=0):
        return np.stack(arrays, -1).ravel()

    interleave.vjp(arrays=lambda i, g, out, *arrays, start=0: g.reshape(-1, len(arrays))[:, i])
    explanation = tg.explain(interleave(leaf([1, 2], "a"), leaf([3, 4], "b"), start=7).sum())
    assert "#2 = interleave_to_explain(a, b, start=7)" in str(explanation)
    assert step(explanation, "#2: interleave_to_explain").splitlines()[1:] == [
        "   rearranges: the upstream gradient goes back the way the values came",
        "     dL/da = interleave_to_explain_back(dL/d#2) = interleave_to_explain_back([1 1 1 1]) = [1 1]",
        "     dL/db = interleave_to_explain_back(dL/d#2) = interleave_to_explain_back([1 1 1 1]) = [1 1]",
    ]


# --- numbers that are no numbers, and sizes --------------------------------------------------------------------------


def broken():
    with np.errstate(divide="ignore"):
        return tg.log(leaf(0, "x")) * float("nan")


def test_nan_and_infinity_are_shown():
    text = str(tg.explain(broken()))
    assert "#1 = log(x) = log(0) = -inf" in text
    assert "L = #1 * nan = -inf * nan = nan" in text
    assert "dL/dx = dL/d#1 * (1 / x) = nan * (1 / 0) = nan" in text
    tg.explain(tg.softmax_cross_entropy(leaf([[np.inf, 1.0, np.nan]]), np.array([0]))).to_latex()


def test_a_long_chain_is_bounded_and_needs_no_recursion():
    y = leaf(1, "x")
    for _ in range(20_000):
        y = y + 1.0
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        explanation = tg.explain(y, lr=0.1)
        texts = [str(explanation), explanation.to_markdown(), explanation.to_latex()]
    finally:
        sys.setrecursionlimit(limit)
    assert "... 19,800 are not shown ..." in texts[0]
    assert "... 19,800 steps are not shown ..." in texts[0]
    assert "\n20000. #2: add\n" in texts[0]
    assert max(map(len, texts)) < 100_000
    assert "parameter  dL/dx = 1" in texts[0]


def test_a_diamond_of_many_paths_is_explained_once():
    y = leaf(1, "x")
    for _ in range(40):
        y = y + y
    explanation = tg.explain(y)
    assert len(steps(explanation)) == 80
    assert f"dL/dx = {2**40:.5e}".replace("e+", "e") in str(explanation)


def test_empty_arrays_are_explained():
    text = str(tg.explain((leaf(np.zeros((0, 3)), "x") * 2.0).sum()))
    assert "x = empty (0, 3)" in text
    assert "L = sum(#2) = sum(empty (0, 3)) = 0" in text


# --- names that mean harm ---------------------------------------------------------------------------------------------

HOSTILE = 'a{x}\n```\n# `b` </script> \\input{/etc/passwd} %$&_^~"\ue001é'


def hostile():
    @tg.extend.primitive(gate="function", name=HOSTILE)
    def function(x, /, option=None):
        return x * 2.0

    @tg.extend.elementwise(gate="function", name=HOSTILE + "2")
    def elementwise(x, /):
        return x * 2.0

    function.vjp(x=lambda g, out, x, option: g * 2.0)
    elementwise.vjp(x=lambda g, out, x: g * 2.0)
    with tg.scope(HOSTILE):
        y = elementwise(function(leaf([1, 2], HOSTILE), option={HOSTILE: 1}))
    loss = y[0] * leaf(2, "{g}")
    loss.name = "!" + HOSTILE
    return tg.explain(loss, lr=0.1)


def test_a_name_stays_in_its_line():
    lines = str(hostile()).splitlines()
    assert not any(line.startswith(("```", "#1 `")) for line in lines)
    assert sum("a{x}\\n```\\n# `b` </script>" in line for line in lines) > 4


@pytest.mark.parametrize("name", ["  ", " x ", "\t"])
def test_blanks_around_a_name_do_not_count(name):
    text = str(tg.explain(leaf(2, name) * leaf([1, 2])[0]))
    assert f"parameter  {name.strip() or '#0'} = 2\n" in text


def test_a_name_cannot_end_a_block_of_code():
    text = hostile().to_markdown()
    for fence, body in re.findall(r"^(`{3,})text\n(.*?)^\1$", text, re.MULTILINE | re.DOTALL):
        assert fence not in body
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "</script>" not in re.sub(r"(`+) .*? \1", "", outside)
    assert r"\</script\>" in outside


def test_a_name_stays_text_in_latex():
    text = hostile().to_latex()
    assert r"\input{" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    balanced(text)


def balanced(text):
    """Braces, environments and \\left \\right of a LaTeX document come in pairs."""
    depth = 0
    for token in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += (token == "{") - (token == "}")
        assert depth >= 0
    assert depth == 0
    for name in ("aligned", "array", "document"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}")
    assert len(re.findall(r"\\left\b", text)) == len(re.findall(r"\\right\b", text))


# --- files -----------------------------------------------------------------------------------------------------------


def test_it_is_saved_by_suffix(tmp_path):
    explanation = tg.explain(neuron())
    for suffix, text in {
        ".txt": str(explanation),
        ".md": explanation.to_markdown(),
        ".tex": explanation.to_latex(),
    }.items():
        explanation.save(tmp_path / f"x{suffix}")
        assert (tmp_path / f"x{suffix}").read_text(encoding="utf-8") == text
    explanation.save(tmp_path / "x.MD")
    assert (tmp_path / "x.MD").read_bytes() == (tmp_path / "x.md").read_bytes()


def test_paths_that_cannot_be_written(tmp_path):
    explanation = tg.explain(neuron())
    with pytest.raises(ValueError, match=r"^explain: cannot write '.*x\.docx': the name must end with .*\.tex"):
        explanation.save(str(tmp_path / "x.docx"))
    with pytest.raises(FileNotFoundError, match=r"^explain: cannot write .*: there is no folder .*missing"):
        explanation.save(tmp_path / "missing" / "x.md")
    with pytest.raises(TypeError, match=r"^explain: path must name a file, got NoneType"):
        explanation.save(None)


def test_as_html_it_is_the_live_page(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorgraph.drawing.page", SimpleNamespace(page=lambda nodes: repr(nodes)))
    explanation = tg.explain(neuron())
    explanation.save(tmp_path / "x.html")
    assert (tmp_path / "x.html").read_text(encoding="utf-8") == repr(explanation.nodes)


def test_a_notebook_shows_it():
    explanation = tg.explain(neuron())
    assert explanation._repr_markdown_() == explanation.to_markdown()
    assert repr(explanation) == "<Explanation of 'sigmoid', 10 nodes; print() shows it>"


def everything():
    """A graph with many kinds of formulas, in full and in shapes."""
    rng = np.random.default_rng(0)
    x = fixed(rng.normal(size=(2, 1, 4, 4)), "x_1")
    f, b = leaf(rng.normal(size=(2, 1, 2, 2)), "F"), leaf([0.1, -0.1], "b_conv")
    maps = tg.avg_pool2d(tg.relu(tg.conv2d(x, f, b, padding=1, stride=2)), 3).reshape(2, 2)
    logits = tg.tanh(maps) ** 3 @ leaf(rng.normal(size=(2, 3)), "W.out") / 2.0
    loss = tg.softmax_cross_entropy(logits, np.array([0, 2])) + tg.sqrt((f * f).mean()) * 1e-9
    large = tg.exp(leaf(rng.normal(size=(9, 9)), "large_%")) @ fixed(rng.normal(size=(9, 2)))
    return loss + large.max() + large[1:3, 0].sum() + tg.pad(b, 2, mode="constant").sum()


def test_latex_is_well_formed():
    balanced(tg.explain(everything(), lr=1e-7).to_latex())


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("make", [everything, broken])
def test_latex_compiles(make, tmp_path):
    tg.explain(make(), lr=1e-7).save(tmp_path / "x.tex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Overfull" not in run.stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_with_hostile_names_compiles(tmp_path):
    hostile().save(tmp_path / "x.tex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert run.returncode == 0, run.stdout[-2000:]


# --- it is only a look, and mistakes ---------------------------------------------------------------------------------


def test_explaining_changes_nothing():
    x = leaf([1, 2], "x")
    y = (x * x).sum()
    str(tg.explain(y, lr=0.1))
    assert x.grad is None
    np.testing.assert_array_equal(x.data, [1, 2])
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


def test_what_cannot_be_explained_is_refused():
    with pytest.raises(TypeError, match=r"^explain: output must be a tensor, got float$"):
        tg.explain(1.0)
    with pytest.raises(tg.GradError, match="nothing was recorded"):
        tg.explain(tg.ones(2))
    for lr in (0, -1.0, float("nan"), float("inf"), "fast"):
        with pytest.raises(ValueError, match=rf"^explain: lr must be a positive number, got {lr!r}$"):
            tg.explain(neuron(), lr=lr)
    for digits in (0, 16, 2.0, True):
        with pytest.raises(ValueError, match=r"^explain: digits must be a whole number from 1 to 15, got"):
            tg.explain(neuron(), digits=digits)
