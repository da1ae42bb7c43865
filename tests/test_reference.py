"""The reference of the documentation has every public name, once."""

import collections
import importlib
import re
import types

import pages
import pytest

import nn
import tensorgraph as tg

pytestmark = pytest.mark.repository

SUBJECT = re.compile(r"^\.\. subject:: (\S+)\n\n((?: +.*\n)+)", re.MULTILINE)
MENTION = re.compile(r"`(?:tg|nn)\.[\w.]+")
MODULES = [
    *[
        "tensorgraph",
        "tensorgraph.extend",
        "tensorgraph.hooks",
        "tensorgraph.testing",
        "tensorgraph.testing.strategies",
    ],
    *[
        "tensorgraph.updates",
        "nn",
        "nn.data",
        "nn.functional",
        "nn.init",
        "nn.models",
        "nn.optim",
        "nn.pictures",
        "nn.training",
    ],
]


def public(module):
    """What a module offers, by name; without the modules in it, which are in the list above."""
    own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", None) == module.__name__]
    names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    things = {name: getattr(module, name) for name in names}
    return {name: thing for name, thing in things.items() if not isinstance(thing, types.ModuleType)}


@pytest.fixture(scope="module")
def text():
    return "\n".join(
        page.read_text(encoding="utf-8") for page in sorted((pages.ROOT / "docs" / "reference").glob("*.md"))
    )


@pytest.fixture(scope="module")
def described(text):
    """(module, name) of all that is described in full."""
    return [(module, name) for module, names in SUBJECT.findall(text) for name in names.split()]


def test_the_modules_are_all_public_ones():
    found = {f"{package.__name__}.{name}" for package in (tg, nn) for name in package.__all__}
    modules = {
        name
        for name in found
        if isinstance(getattr(importlib.import_module(name.split(".")[0]), name.split(".")[1]), types.ModuleType)
    }
    assert modules | {"tensorgraph", "nn", "tensorgraph.testing.strategies"} == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_described(module, text, described):
    """Under this name or another one; or mentioned, as are comparisons, which have no docstrings of their own."""
    things = {id(getattr(importlib.import_module(home), name)) for home, name in described}
    mentioned = {mention[1:].replace("tg.", "tensorgraph.") for mention in MENTION.findall(text)}
    names = public(importlib.import_module(module)).items()
    assert [name for name, thing in names if id(thing) not in things and f"{module}.{name}" not in mentioned] == []


def test_nothing_is_described_twice(described):
    assert [name for name, count in collections.Counter(described).items() if count > 1] == []
