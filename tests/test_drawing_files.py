"""Pictures as files: every format, with Graphviz from either place and without, and what goes wrong."""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import drawn
import numpy as np
import pytest

import nn
import tensorgraph as tg
from tensorgraph.drawing import dot as dot_module
from tensorgraph.drawing.render import GraphvizError, GraphvizMissingError, render

SVG = "{http://www.w3.org/2000/svg}"


def works():
    try:
        return bool(render("digraph { a }", "svg"))
    except GraphvizMissingError:
        return False


needs_graphviz = pytest.mark.skipif(not works(), reason="no Graphviz: pip install pygraphviz")
posix = pytest.mark.skipif(os.name != "posix", reason="writes a shell script")


@pytest.fixture
def no_program(monkeypatch):
    """An empty PATH: no `dot`."""
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def no_graphviz(monkeypatch, no_program):
    """Neither `dot` nor pygraphviz."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pygraphviz" else find(name))


# --- with Graphviz ---------------------------------------------------------------------------------------------------


@needs_graphviz
@pytest.mark.parametrize(
    ("suffix", "start"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")]
)
def test_formats(tmp_path, suffix, start):
    path = tmp_path / f"picture{suffix}"
    graph = tg.draw(drawn.neuron(), path)
    assert isinstance(graph, tg.Graph)
    assert path.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [path.name]


def svg_texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


@needs_graphviz
def test_an_svg_is_xml_and_shows_the_numbers():
    texts = svg_texts(tg.draw(drawn.neuron())._repr_svg_())
    for text in ("0.731059", "-0.393224", "swaps", "w2", "parameter"):
        assert text in texts


@needs_graphviz
@pytest.mark.parametrize(
    "name", ['"', "\\", "two\nlines\\n", "<script>alert(1)</script>", "&amp; &lt;", "]]>", "\0\ud800", "重み"]
)
def test_any_name_is_text_in_the_picture(name):
    x = tg.tensor([1.0, 2.0], requires_grad=True, name=name)
    with tg.scope(f"{name} (Layer)"):
        y = tg.sin(x) * x
    with tg.scope(name):
        y = y.sum()
    svg = tg.draw(y, depth=1)._repr_svg_() + tg.draw(y, depth=0)._repr_svg_()
    one, other = (f"<?xml{part}" for part in svg.split("<?xml")[1:])
    for picture in (one, other):
        root = ET.fromstring(picture)
        assert not list(root.iter(f"{SVG}script"))
        visible = "".join("".join(element.itertext()) for element in root.iter())
        assert name.splitlines()[0].replace("\0", "\\x00").replace("\ud800", "\\ud800") in visible.replace("\xa0", " ")


@needs_graphviz
@pytest.mark.parametrize("options", [{}, {"values": False}, {"grads": False}, {"values": False, "grads": False}])
def test_networks_are_drawn(options):
    loss = nn.CrossEntropyLoss()(drawn.ResNet(width=2, classes=3)(tg.ones(2, 3, 32, 32)), [0, 1])
    assert "layer1 (Sequential)" in svg_texts(tg.draw(loss, **options)._repr_svg_())
    assert "ResNet" in svg_texts(tg.draw(loss, depth=1, max_nodes=7, **options)._repr_svg_())


@needs_graphviz
def test_operands_stand_in_their_order():
    def height(name):
        return float(re.search(rf'y="(-?[\d.]+)"[^>]*>{name}<', svg)[1])

    names = [f"x{i}" for i in range(8)]
    x = [tg.tensor(float(i), requires_grad=True, name=name) for i, name in enumerate(names)]
    svg = tg.draw((x[0] - x[1]) / (x[2] - x[3]) - (x[4] - x[5]) / (x[6] - x[7]))._repr_svg_()
    assert sorted(names, key=height) == names


@needs_graphviz
def test_down_the_page_the_gradient_of_a_row_is_at_its_height():
    x = tg.tensor(np.arange(10.0, 20.0).reshape(5, 2), requires_grad=True, name="x")
    texts = list(ET.fromstring(tg.draw((x * x).sum())._repr_svg_()).iter(f"{SVG}text"))
    for value, gradient in (("[10.0 11.0]", "[20.0 22.0]"), ("[18.0 19.0]", "[36.0 38.0]")):
        heights = [
            {text.get("y") for text in texts if text.text.replace("\xa0", " ") == row} for row in (value, gradient)
        ]
        assert heights[0] & heights[1]


@needs_graphviz
@pytest.mark.parametrize("grads", [True, False])
def test_the_line_between_value_and_gradient_continues_the_arrows(grads):
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True, name="x")
    svg = tg.draw((x * x).sum(), grads=grads)._repr_svg_()
    between = re.findall(r'points="[\d.]+,(-[\d.]+)(?: [\d.]+,\1){4}"', svg)
    arrows = re.findall(r'd="M[\d.]+,(-[\d.]+)C', svg)
    assert len(between) == 5 + grads  # the last one is in the legend
    assert set(between[:5]) <= set(arrows)


@needs_graphviz
def test_the_cells_of_a_heat_map_are_squares_in_a_grid():
    image = np.zeros((7, 7))
    image[1, 2:4] = image[2, 4:6] = image[4, 1:3] = 1.0  # cells that are never alone in a column
    svg = tg.draw((tg.tensor(image, requires_grad=True) * 2.0).sum(), grads=False)._repr_svg_()
    cells = re.findall(r'fill="#006837" stroke="none" points="([^"]*)"', svg)[:3]
    sides = [sorted({float(point.split(",")[0]) for point in cell.split()}) for cell in cells]
    left = min(sides)[0]
    assert [[round((x - left) / 6) for x in side] for side in sides] == [[1, 3], [3, 5], [0, 2]]
    np.testing.assert_allclose(np.diff(sides), 12)


@needs_graphviz
def test_odd_arrays_are_drawn():
    x = tg.tensor(np.array([[np.nan, np.inf, -np.inf, 1e300], [0.0, -0.0, 1e-300, 1.0]]), requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        for y in (
            x * 2.0,
            tg.zeros(0, 3) * tg.tensor(np.zeros((0, 3)), requires_grad=True),
            x.reshape(1, 2, 4) * np.ones((9, 2, 4)),
        ):
            assert tg.draw(y)._repr_svg_()


@posix
def test_the_program_on_the_path_comes_first(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\nread first\nprintf \'<svg>%s %s</svg>\' "$*" "$first"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert render("digraph x {}\n", "svg").decode() == "<svg>-Kdot -Tsvg digraph x {}</svg>"


@posix
def test_a_program_that_fails_says_why(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho 'Error: syntax error in line 1' >&2\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(GraphvizError, match=r"drawing \.svg: dot failed: Error: syntax error in line 1"):
        tg.draw(drawn.neuron(), tmp_path / "x.svg")


@pytest.mark.skipif(importlib.util.find_spec("pygraphviz") is None, reason="needs pygraphviz")
@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_the_graphviz_of_pygraphviz_needs_no_path(no_program, kind):
    assert len(render(tg.draw(drawn.neuron()).to_dot(), kind)) > 1000


@pytest.mark.skipif(importlib.util.find_spec("pygraphviz") is None, reason="needs pygraphviz")
def test_text_that_is_no_graph(no_program):
    with pytest.raises(GraphvizError, match=r"drawing \.svg: pygraphviz failed: "):
        render("digraph {", "svg")


# --- without Graphviz ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_without_graphviz_the_message_says_what_to_install(no_graphviz, tmp_path, suffix):
    with pytest.raises(GraphvizMissingError) as error:
        tg.draw(drawn.neuron(), tmp_path / f"x{suffix}")
    assert str(error.value) == (
        f"drawing {suffix} needs Graphviz: install its program dot (https://graphviz.org/download), or "
        '`pip install "pygraphviz>=2.0"`, which brings it along; .dot, .txt and .html need nothing'
    )
    assert os.listdir(tmp_path) == []


def test_text_needs_no_graphviz(no_graphviz, tmp_path):
    graph = tg.draw(drawn.neuron(), tmp_path / "x.dot")
    assert (tmp_path / "x.dot").read_text(encoding="utf-8") == graph.to_dot()
    graph.save(tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text(encoding="utf-8") == graph.to_text() + "\n"
    assert graph._repr_svg_() is None


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "x.jpg", "x.", ".svg", "x.svg.gz"])
def test_other_suffixes(tmp_path, name):
    with pytest.raises(ValueError, match=r"the name must end with one of \.svg \.png \.pdf \.dot \.html \.txt"):
        tg.draw(drawn.neuron(), tmp_path / name)


def test_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"draw: cannot write '.*x\.dot': there is no folder .*missing"):
        tg.draw(drawn.neuron(), tmp_path / "missing" / "x.dot")
    with pytest.raises(TypeError, match="draw: path must name a file, got int"):
        tg.draw(drawn.neuron(), 3)
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises(OSError, match=r"folder\.dot'$"):  # and not the name of an unfinished file
        tg.draw(drawn.neuron(), tmp_path / "folder.dot")
    assert os.listdir(tmp_path) == ["folder.dot"]


def test_a_picture_that_fails_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "x.dot"
    graph = tg.draw(drawn.neuron(), path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        graph.save(path, values=False)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.dot"]


def test_options_of_save(tmp_path):
    graph = tg.draw(drawn.neuron())
    graph.save(str(tmp_path / "x.dot"), grads=False)
    assert (tmp_path / "x.dot").read_text(encoding="utf-8") == graph.to_dot(grads=False)
    assert dot_module.dot(graph.nodes, graph._seen({})) == graph.to_dot()


# --- the command line ------------------------------------------------------------------------------------------------


PROGRAM = """
import sys
import tensorgraph as tg
x = tg.tensor(3.0, requires_grad=True, name="x")
square = x * x
if "train" in sys.argv:
    for _ in range(3):
        (x * x).backward()
    tg.exp(x).backward()
print("done", sys.argv[1:])
"""


def run(*arguments, folder):
    command = [sys.executable, "-m", "tensorgraph", *arguments]
    path = os.pathsep.join([str(Path(tg.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=os.environ | {"PYTHONPATH": path}, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_a_program_is_drawn_where_it_calls_backward(program):
    assert run("draw", "program.py", "-o", "x.txt", "--", "train", folder=program) == (0, "x.txt: 3 nodes\n", "")
    assert "mul" in (program / "x.txt").read_text()
    code, out, _ = run("draw", "program.py", "-o", "x.txt", "--call", "4", "--", "train", folder=program)
    assert (code, out) == (0, "x.txt: 2 nodes\n")
    assert "exp" in (program / "x.txt").read_text()


def test_a_program_without_backward_is_drawn_at_its_end(program):
    assert run("draw", "program.py", "-o", "x.dot", folder=program) == (0, "done []\nx.dot: 3 nodes\n", "")
    code, out, _ = run("draw", "program.py", "-o", "x.dot", "--tensor", "square", "--", "train", folder=program)
    assert (code, out) == (0, "done ['train']\nx.dot: 3 nodes\n")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nothing.py"], 2, "argument program: there is no file nothing.py"),
        (
            ["program.py", "-o", "x.jpg"],
            2,
            "argument -o/--output: draw: cannot write 'x.jpg': the name must",
        ),
        (["program.py", "--depth", "-1"], 2, "argument --depth"),
        (
            ["program.py", "-o", "x.txt", "--tensor", "z"],
            1,
            "program.py ends without a tensor called 'z'; its tensors are x, square",
        ),
        (["program.py", "-o", "x.txt", "--call", "9", "--", "train"], 1, "program.py calls backward() 4 times only"),
        (
            ["program.py", "-o", "x.txt", "--expand", "conv"],
            1,
            "draw: expand: no layer, operation or value is called 'conv'",
        ),
        (["empty.py", "-o", "x.txt"], 1, "empty.py never calls backward(), and ends without a scalar to draw"),
        (["broken.py", "-o", "x.txt"], 1, "ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_on_the_command_line(program, arguments, status, message):
    (program / "empty.py").write_text("")
    (program / "broken.py").write_text("1 / 0")
    code, _, error = run("draw", *arguments, folder=program)
    assert code == status
    assert message in error
    assert not (program / "x.txt").exists()


@pytest.mark.repository
def test_the_examples_are_drawn(tmp_path):
    examples = Path(__file__).parents[1] / "examples"
    code, printed = run("draw", str(examples / "neuron.py"), "-o", "x.txt", folder=tmp_path)[:2]
    assert code == 0
    assert printed.endswith("\nx.txt: 10 nodes\n")  # after what the program prints
    text = (tmp_path / "x.txt").read_text(encoding="utf-8")
    assert "0.731059" in text
    assert "-0.393224" in text


@pytest.mark.skipif(os.name != "posix", reason="a pipe that is closed, as Unix has it")
def test_a_closed_pipe_ends_it_in_silence(program):
    (program / "long.py").write_text("for i in range(100_000):\n    print(i)\n")
    command = [sys.executable, "-m", "tensorgraph", "draw", "long.py"]
    environ = os.environ | {"PYTHONPATH": str(Path(tg.__file__).parents[1])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=program, env=environ, **pipes) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
