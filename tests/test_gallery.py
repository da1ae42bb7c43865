"""The gallery shows what the code draws today."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET

import numpy as np
import pages
import pytest

pytestmark = pytest.mark.repository

GALLERY = pages.ROOT / "docs" / "gallery"
NUMBER = re.compile(r"[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")
PICTURES = ["failure", "lenet", "neuron", "resnet", "shared", "toy_cnn"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with the pictures as they are drawn today."""
    spec = importlib.util.spec_from_file_location("build", pages.ROOT / "docs" / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    folder = tmp_path_factory.mktemp("gallery")
    build.draw(folder)
    return folder


def read(svg):
    """The words that a picture shows, and its numbers.

    Not how it is laid out, which depends on the version of Graphviz and on the fonts of the machine.
    """
    texts = [
        "".join(node.itertext()).replace("\xa0", " ") for node in ET.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    ]
    words = [NUMBER.sub("0", text).split() for text in texts]
    numbers = [float(number.replace(",", "").replace("−", "-")) for text in texts for number in NUMBER.findall(text)]
    return words, numbers


def test_every_picture_is_shown(drawn):
    page = (pages.ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert sorted(file.stem for file in drawn.iterdir()) == PICTURES
    assert sorted(file.name for file in GALLERY.iterdir()) == [f"{name}.svg" for name in PICTURES]
    assert sorted(re.findall(r"!\[.+\]\(gallery/(\w+)\.svg\)", page)) == PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_the_code_draws(drawn, name):
    words, numbers = read(GALLERY / f"{name}.svg")
    words_today, numbers_today = read(drawn / f"{name}.svg")
    assert words == words_today, "run python docs/build.py"
    # Another machine rounds otherwise, and the mean of many gradients is all rounding.
    np.testing.assert_allclose(numbers, numbers_today, rtol=0.02, atol=1e-5, err_msg="run python docs/build.py")


def test_the_pictures_are_small():
    assert sum(file.stat().st_size for file in GALLERY.iterdir()) < 1_000_000
