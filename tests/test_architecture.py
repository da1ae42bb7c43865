"""Who imports whom: read from the source files, without running them."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import nn
import tensorgraph as tg
from tensorgraph._tape import Traced

# A module imports only from lines below its own, or from its own package where it is one.
LAYERS = """
nn
__main__
tensorgraph/__init__.py
detect, explain, extend, testing
graph
checking, drawing
_memory, _snapshot
autodiff, creation, updates
tensor
_methods, _protocols
ops
_backward
_broadcast, _constant
_primitive
_guard, _tape
config, _context
hooks, kernels, random, _arguments, _dtypes, _renamed
errors
"""
LINES = [line.replace("tensorgraph/__init__.py", "tensorgraph").split(", ") for line in LAYERS.split("\n") if line]
HEIGHT = {name: -i for i, line in enumerate(LINES) for name in line}

ROOTS = {"tensorgraph": Path(tg.__file__).parent, "nn": Path(nn.__file__).parent}


def module_name(root: str, path: Path) -> str:
    """tensorgraph/ops/conv.py -> tensorgraph.ops.conv"""
    parts = path.relative_to(ROOTS[root]).with_suffix("").parts
    return ".".join([root, *(part for part in parts if part != "__init__")])


FILES = {module_name(root, path): path for root, folder in ROOTS.items() for path in sorted(folder.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
every_module = pytest.mark.parametrize("module", FILES)


def running(node: ast.AST):
    """The nodes of a tree but those under `if TYPE_CHECKING:`, which never run."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield from running(child)


def imports(tree: ast.AST):
    """(module, name) for every import that runs: `from module import name`; name is None for `import module`."""
    for node in running(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from ((node.module, alias.name) for alias in node.names)


def ours(tree: ast.AST) -> set[str]:
    """The modules of the two packages that a file imports."""
    found = {f"{module}.{name}" if f"{module}.{name}" in FILES else module for module, name in imports(tree)}
    return {name for name in found if name.partition(".")[0] in ROOTS}


def layer(module: str) -> str:
    """tensorgraph.ops.conv -> ops"""
    parts = module.split(".")
    return parts[1] if parts[0] == "tensorgraph" and len(parts) > 1 else parts[0]


def wrong_imports(module: str, tree: ast.AST) -> set[str]:
    """What the module imports from its own layer or from above."""
    here = layer(module)
    return {name for name in ours(tree) if layer(name) != here and HEIGHT[layer(name)] >= HEIGHT[here]}


@every_module
def test_imports_go_down(module):
    assert layer(module) in HEIGHT, "a new module has its place in LAYERS, and in docs/architecture.md"
    assert wrong_imports(module, TREES[module]) == set()


def test_an_import_upwards_is_found():
    for module, code in {
        "tensorgraph.ops.conv": "from tensorgraph.tensor import Tensor",
        "tensorgraph._tape": "def f():\n    from tensorgraph import ops",
        "tensorgraph.creation": "import tensorgraph.autodiff",
        "tensorgraph.kernels.shapes": "from tensorgraph.random import default_rng",
        "tensorgraph.tensor": "from nn import Module",
    }.items():
        assert len(wrong_imports(module, ast.parse(code))) == 1, module
    assert wrong_imports("tensorgraph._tape", ast.parse("if TYPE_CHECKING:\n    from tensorgraph import ops")) == set()


@pytest.mark.repository
def test_the_documentation_shows_the_same_layers():
    page = Path(__file__).parents[1] / "docs" / "architecture.md"
    assert f"```text{LAYERS}```" in page.read_text(encoding="utf-8")


def test_no_file_imports_itself_in_a_circle():
    """Packages are left out of it: a file of a package may import its neighbours, which loads the package first."""
    graph = {module: ours(TREES[module]) - {"tensorgraph", "nn"} for module in FILES}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("tensorgraph.kernels")])
def test_kernels_know_arrays_only(module):
    allowed = ("tensorgraph.kernels", "tensorgraph.errors")
    assert {name for name in ours(TREES[module]) if not name.startswith(allowed)} == set()
    others = {name.partition(".")[0] for name, _ in imports(TREES[module])} - {"tensorgraph"}
    allowed_others = {"__future__", "collections", "functools", "math", "numpy", "operator", "typing"}
    if module.endswith("_choice"):
        allowed_others |= {"importlib", "os", "types"}  # it looks for the extension module, and into the environment
    assert others <= allowed_others


NN = [name for name in FILES if layer(name) == "nn"]


@pytest.mark.parametrize("module", NN)
def test_nn_uses_public_names_only(module):
    for name, imported in imports(TREES[module]):
        if name == "tensorgraph":
            assert imported is None or imported in tg.__all__
        else:
            assert not name.startswith("tensorgraph."), "import tensorgraph as tg, and use tg.name"
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else None
            if owner == "tg":
                assert node.attr in tg.__all__, f"line {node.lineno}: tg.{node.attr} is not public"
            if owner != "self":  # an object of nn may call its own things as a tensor calls its private ones
                assert node.attr not in Traced.__slots__, f"line {node.lineno}: .{node.attr} is private to a tensor"


@pytest.mark.parametrize("package", [tg, nn], ids=["tensorgraph", "nn"])
def test_the_public_names_exist(package):
    assert len(set(package.__all__)) == len(package.__all__)
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


@every_module
def test_files_are_short(module):
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) < 420


def test_the_package_says_that_it_is_typed():
    assert all((folder / "py.typed").exists() for folder in ROOTS.values())


def test_the_import_takes_little_with_it():
    """What is not needed at once is imported where it is used: random numbers, pictures, paths."""
    code = "import sys, numpy; before = set(sys.modules); import tensorgraph, nn; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy.random", "graphviz", "pathlib", "threading", "subprocess", "json"}.isdisjoint(loaded)
