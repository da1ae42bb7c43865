"""Random define-by-run programs: they run, print as code, and shrink to the shortest that still goes wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tensorgraph.tensor import Tensor

LARGEST = 20.0  # larger results go through tanh, so that thirty operations do not overflow


class Program:
    """A function of tensors, written in lines of code; `repr(program)` is a script that checks its gradients.

    It is called with its `inputs`, or with others of their shapes, and returns all values that no other line uses.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.shapes: dict[str, tuple[int, ...]] = {}  # of the inputs, by name
        self.lines: list[str] = []
        self._unused: list[str] = []
        self._names = (f"v{i}" for i in itertools.count())

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        rng = np.random.default_rng(self.seed)
        return tuple(
            Tensor(rng.uniform(-1, 1, shape), requires_grad=True, name=name) for name, shape in self.shapes.items()
        )

    def function(self) -> str:
        """The code of the function."""
        body = [*self.lines, f"return {', '.join(self._unused)}"]
        return f"def program({', '.join(self.shapes)}):\n" + "".join(f"    {line}\n" for line in body)

    def __call__(self, *tensors: Any) -> Any:
        space: dict[str, Any] = {}
        exec("import numpy as np\nimport tensorgraph as tg\n" + self.function(), space)  # our own lines
        return space["program"](*tensors)

    def __repr__(self) -> str:
        names = ", ".join(self.shapes)
        inputs = [
            f"{name} = tg.tensor(rng.uniform(-1, 1, {shape}), requires_grad=True)\n"
            for name, shape in self.shapes.items()
        ]
        return (
            "import numpy as np\nimport tensorgraph as tg\n\n"
            f"rng = np.random.default_rng({self.seed})\n{''.join(inputs)}\n\n"
            f"{self.function()}\n\ntg.testing.check_grads(program, {names})\n"
        )

    # --- how it is built ---

    def add_input(self, shape: tuple[int, ...]) -> str:
        name = f"x{len(self.shapes)}"
        self.shapes[name] = shape
        self._unused.append(name)
        return name

    def add(self, code: str, used: list[str]) -> str:
        """A line that gives a new value; the names of the values that it uses are no longer results."""
        name = next(self._names)
        self.lines.append(f"{name} = {code}")
        self._unused = [value for value in self._unused if value not in used] + [name]
        return name


class _Writer:
    """Draws one line after another, and runs it on arrays to know the shape of what comes out."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw
        self.program = Program(draw(st.integers(0, 1000)))
        self.values: dict[str, Any] = {}  # name -> array

    def choose(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def input(self, shape: tuple[int, ...]) -> str:
        name = self.program.add_input(shape)
        self.values |= {str(tensor.name): tensor._array for tensor in self.program.inputs}
        return name

    def line(self) -> None:
        name = self.choose(reversed(self.values))  # a late value is simpler: programs shrink to chains
        kinds = [kind for kind in KINDS if any(True for _ in kind(self, name, self.values[name]))]
        code, used = self.choose(self.choose(kinds)(self, name, self.values[name]))
        if np.abs(self.run(code)).max(initial=0.0) > LARGEST:
            code = f"tg.tanh({code})"
        self.values[self.program.add(code, used)] = self.run(code)

    def run(self, code: str) -> Any:
        space: dict[str, Any] = dict(self.values)
        exec("import numpy as np\nimport tensorgraph as tg", space)
        with np.errstate(all="ignore"):
            return np.asarray(eval(code, space))


Lines = Iterator[tuple[str, list[str]]]  # (code, names of the values in it)


def _functions(writer: _Writer, name: str, value: Any) -> Lines:
    for function in ("sin", "tanh", "sigmoid", "exp", "relu", "abs", "softplus", "neg", "arctan"):
        yield f"tg.{function}({name})", [name]
    yield f"{name} ** 2", [name]
    yield f"tg.log({name} ** 2 + 1.0)", [name]


def _pairs(writer: _Writer, name: str, value: Any) -> Lines:
    for other, array in writer.values.items():
        try:
            np.broadcast_shapes(value.shape, array.shape)
        except ValueError:
            continue
        for operator in ("+", "-", "*"):
            yield f"{name} {operator} {other}", [name, other]
        yield f"{name} / ({other} ** 2 + 1.0)", [name, other]
        yield f"tg.maximum({name}, {other})", [name, other]
        yield f"tg.where({name} > 0.1, {name}, {other})", [name, other]


def _reductions(writer: _Writer, name: str, value: Any) -> Lines:
    for axis in (None, *range(value.ndim)):
        for function in ("sum", "mean", "max", "var", "logsumexp"):
            yield f"tg.{function}({name}, axis={axis})", [name]
            yield f"tg.{function}({name}, axis={axis}, keepdims=True)", [name]


def _shapes(writer: _Writer, name: str, value: Any) -> Lines:
    yield f"{name}.reshape(-1)", [name]
    yield f"tg.expand_dims({name}, 0)", [name]
    if value.ndim:
        yield f"{name}.transpose()", [name]
        yield f"{name}[::-1]", [name]
        yield f"{name}[..., -1]", [name]
        yield f"{name}[[0, -1, 0]]", [name]
        yield f"tg.concatenate([{name}, {name}], axis=0)", [name]
        yield f"tg.softmax({name}, axis=-1)", [name]
        yield f"tg.cumsum({name}, axis=0)", [name]


def _products(writer: _Writer, name: str, value: Any) -> Lines:
    for other, array in writer.values.items():
        if value.ndim == 2 and array.ndim == 2 and value.shape[1] == array.shape[0]:
            yield f"{name} @ {other}", [name, other]
    if value.ndim == 2:
        yield f"{name} @ {name}.T", [name]


def _images(writer: _Writer, name: str, value: Any) -> Lines:
    if value.ndim != 4:
        return
    for other, array in writer.values.items():
        if array.ndim == 4 and array.shape[1] == value.shape[1]:
            yield f'tg.conv2d({name}, {other}, padding="full")', [name, other]
            yield f"tg.conv2d({name}, {other}, stride=2, padding={max(array.shape[2:]) - 1})", [name, other]
    if min(value.shape[2:]) >= 2:
        yield f"tg.max_pool2d({name}, 2)", [name]
        yield f"tg.avg_pool2d({name}, 2, stride=1)", [name]


KINDS = (_functions, _pairs, _reductions, _shapes, _products, _images)


@st.composite
def programs(draw: Any, *, min_size: int = 2, max_size: int = 30) -> Program:
    """Programs of 2 to 30 operations, with shared values, broadcasting, reductions, indexing and convolutions.

    Example:
        >>> from hypothesis import given, settings
        >>> import tensorgraph as tg
        >>> @settings(max_examples=10, deadline=None)
        ... @given(tg.testing.strategies.programs(max_size=5))
        ... def test(program):
        ...     tg.testing.check_program(program)
        >>> test()
    """
    writer = _Writer(draw)
    sides = st.integers(1, 3)
    if draw(st.booleans()):  # images and filters
        channels = draw(st.integers(1, 2))
        writer.input((draw(st.integers(1, 2)), channels, draw(sides) + 1, draw(sides) + 1))
        writer.input((draw(st.integers(1, 2)), channels, draw(st.integers(1, 2)), draw(st.integers(1, 2))))
    for _ in range(draw(st.integers(0 if writer.values else 1, 2))):
        writer.input(tuple(draw(st.lists(sides, max_size=3))))
    for _ in range(draw(st.integers(min_size, max_size))):
        writer.line()
    return writer.program
