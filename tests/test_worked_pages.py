"""The pages of the course's worked examples: as the program writes them now, and with the course's figures."""

from __future__ import annotations

import importlib.util

import numpy as np
import pages
import pytest

from tensorgraph.drawing.digits import matrices
from tensorgraph.drawing.lesson import lesson

pytestmark = pytest.mark.repository

WORKED = sorted((pages.ROOT / "docs" / "worked").glob("*.md"))

# What the course prints, to the digits that it prints.
FIGURES = {
    "w1-neuron": {"z": "1.0", "L": "0.731059"},
    "w2-perceptron": {
        "h1": "0.5932699921",
        "h2": "0.5968843783",
        "o1": "0.7513650696",
        "o2": "0.7729284653",
        "E": "0.2983711088",
        "dE/dw1": "0.000439",
        "dE/dw2": "0.000877",
        "dE/dw3": "0.000498",
        "dE/dw4": "0.000995",
        "dE/dw5": "0.082167",
        "dE/dw6": "0.082668",
        "dE/dw7": "-0.022603",
        "dE/dw8": "-0.022740",
        "dE/db1": "0.018726",
        "dE/db2": "0.100400",
        "w1+": "0.149781",
        "w2+": "0.199561",
        "w3+": "0.249751",
        "w4+": "0.299502",
        "w5+": "0.358916",
        "w6+": "0.408666",
        "w7+": "0.511301",
        "w8+": "0.561370",
    },
    "w3-cnn": {
        "c": "1.9 0.3 0.3 1.9",
        "h": "1.3 3.06",
        "logits": "1.042 1.914",
        "softmax": "0.294838 0.705162",
        "L": "1.221328",
        "dL/dlogits": "-0.705162 0.705162",
        "dL/dW_out": "-0.916710 -2.157795 0.916710 2.157795",
        "dL/dh": "0.141032 0.141032",
        "dL/dW_hidden": "0.267961 0.042310 0.042310 0.267961 0.267961 0.042310 0.042310 0.267961",
        "dL/dc": "0.084619 0.112826 0.141032 0.169239",
        "dL/dfilter": "0.253858 0.253858 0.253858 0.253858",
        "dL/db_conv": "0.507716",
        "dL/dimage": "0.076157 0.110005 0.011283 0.135391 0.253858 0.118467 0.014103 0.143853 0.152315",
        "filter+": "0.773071 -0.026929 -0.026929 0.773071",
        "b_conv+": "-0.153858",
        "W_hidden+": "-0.033981 0.178845 0.278845 0.266019 0.366019 0.578845 0.678845 0.666019",
        "b_hidden+": "0.129484 0.129484",
        "W_out+": "0.558355 1.278897 -0.158355 -0.678897",
        "b_out+": "0.652581 -0.052581",
    },
    "w4-convolution": {
        "dL/dF": "-0.1 -0.3 -0.3 0.2",
        "dL/dX": "0.2 -0.6 0.4 -0.7 0.7 0.0 0.3 -0.2 -0.1",
    },
    "w5-feature-maps": {
        "valid": "51 66 20 31 49 101 15 53 -2",
        "same": "21 59 37 -19 2",
        "pooled": "59 66 66 43 51 66 101 101 59 53 101 101 59 64 76 76",
    },
    "w6-two-filters": {
        "z": "-1 1 1 2 0 -2 -2 1 1 2 2 0 5 1 -3 1 0 -1",
        "p": "2 5",
        "score": "-0.7",
        "y": "0.331812",
        "dJ/dF[0, 0, 1, 1]": "-1.336376",
    },
}


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("build", pages.ROOT / "docs" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


every_page = pytest.mark.parametrize("page", WORKED, ids=lambda page: page.stem)


@every_page
def test_the_page_is_what_the_program_writes(page, build):
    assert build.PAGES == WORKED
    assert page.read_text(encoding="utf-8") == build.built(page), "run python docs/build.py"


@every_page
def test_the_page_is_in_the_index(page):
    assert f"(worked/{page.name})" in (pages.ROOT / "docs" / "README.md").read_text(encoding="utf-8")


def shown(explanation):
    """{what stands left of an equation: the numbers of its result, as they are printed}"""
    found = {}
    for section in lesson(explanation.nodes, explanation._lr):
        for item in section.first + section.last:
            for equation in item.equations:
                found[str(equation.left)] = _printed(equation.result, explanation._digits)
                for operand in equation.operands.values():
                    if operand.symbol == "softmax({logits})":
                        found["softmax"] = _printed(operand.value, explanation._digits)
    return found


def _printed(array, digits):
    return [text for matrix in matrices(np.atleast_1d(array), digits) for row in matrix for text in row]


@every_page
def test_the_page_shows_the_figures_of_the_course(page, build):
    printed = shown(build.explanation(page))
    for name, figures in FIGURES[page.stem].items():
        figures = figures.split()
        assert len(figures) == len(printed[name]) or name == "same", name  # the course prints one row of that
        for figure, number in zip(figures, printed[name], strict=False):
            places = len(figure.partition(".")[2])
            assert abs(float(number) - float(figure)) < 0.51 * 10.0**-places, (name, figure, number)
