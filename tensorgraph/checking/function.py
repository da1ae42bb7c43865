"""A function of tensors as the checks see it: variables in double precision go in, arrays come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tensorgraph._backward import leading_to, walk
from tensorgraph._context import enable_grad
from tensorgraph._primitive import astype
from tensorgraph._tape import Array, topological_order
from tensorgraph.checking.difference import EPS, norm
from tensorgraph.tensor import Tensor


def random_weights(outs: Sequence[Tensor], rng: np.random.Generator) -> list[Array]:
    """An upstream gradient for each result, of both signs and never small: a uniform one is blind to many mistakes."""
    return [rng.uniform(0.5, 1.5, out.shape) * rng.choice([-1.0, 1.0], out.shape) for out in outs]


class Checked(ABC):
    """What can be evaluated at other values of its variables, and differentiated."""

    variables: list[Tensor]  # leaves that require gradients
    names: list[str]

    @abstractmethod
    def run(self) -> list[Tensor]:
        """The results, recorded."""

    def values(self) -> list[Array]:
        return [variable._array for variable in self.variables]

    def arrays(self, values: Sequence[Array]) -> list[Array]:
        """The results with these values of the variables."""
        before = self.values()
        try:
            for variable, value in zip(self.variables, values, strict=True):
                variable._array = np.asarray(value)
            return [out._array for out in self.run()]
        finally:
            for variable, value in zip(self.variables, before, strict=True):
                variable._array = value

    def gradients(self, outs: Sequence[Tensor], weights: Sequence[Any], *, record: bool = False) -> list[Any]:
        """The gradient of sum(weights * outs) by each variable, in reverse mode; zeros where nothing depends on it.

        The weights are the upstream gradients of the walk: no operation multiplies and adds, whose rule may be wrong.
        """
        seeds = _seeds(outs, weights)
        nodes: list[Any] = [variable._node for variable in self.variables]
        found = walk(seeds, wanted=nodes, retain_graph=True, create_graph=Tensor if record else None) if seeds else {}
        return [found.get(node, np.zeros(variable.shape)) for node, variable in zip(nodes, self.variables, strict=True)]

    def rounding(self, outs: Sequence[Tensor]) -> float:
        """How the results are rounded, relatively: by the coarsest type on the way from the variables to them."""
        return max((_eps(node) for node in self._on_the_way(outs)), default=EPS)

    def noise(self, outs: Sequence[Tensor], weights: Sequence[Any]) -> float:
        """How far rounding may move sum(weights * outs): what is lost of each value on the way, times its gradient."""
        nodes = self._on_the_way(outs)
        found = walk(_seeds(outs, weights), wanted=nodes, retain_graph=True) if nodes else {}
        return sum((_eps(node) * norm(_finite(g * node.out)) for node, g in found.items()), start=0.0)

    def _on_the_way(self, outs: Sequence[Tensor]) -> list[Any]:
        """The nodes between the variables and the results, both with them."""
        nodes = topological_order({out._node for out in outs if out._node is not None})
        on_the_way = leading_to([v._node for v in self.variables if v._node is not None], nodes)
        return [node for node in on_the_way if node.out is not None]


def _eps(node: Any) -> float:
    return float(np.finfo(node.out.dtype).eps)


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, 0.0)


def _seeds(outs: Sequence[Tensor], weights: Sequence[Any]) -> dict[Any, Any]:
    """The upstream gradient of each node of the results."""
    seeds: dict[Any, Any] = {}
    for out, weight in zip(outs, weights, strict=True):
        if out._node is not None:
            seed = astype(weight, dtype=out.dtype)
            seeds[out._node] = seeds[out._node] + seed if out._node in seeds else seed
    return seeds


class Function(Checked):
    """`f(*inputs)` with some inputs, and all parameters if f is a module, as variables.

    Arguments:
        f: takes the inputs, returns a tensor or a tuple of them. inputs: its arguments.
        chosen: which inputs vary, by position.
    """

    def __init__(self, f: Any, inputs: Sequence[Any], chosen: Sequence[int]) -> None:
        self._f, self._inputs = f, list(inputs)
        self.names = [getattr(inputs[i], "name", None) or f"input {i}" for i in chosen]
        self.variables = [_variable(inputs[i]) for i in chosen]
        for i, variable in zip(chosen, self.variables, strict=True):
            self._inputs[i] = variable
        self._parameters: list[Any] = []
        self._buffers: list[Any] = []
        if hasattr(f, "named_parameters"):
            self._parameters, self._buffers = list(f.parameters()), list(f.buffers())
            learned = [(name, p) for name, p in f.named_parameters() if p.requires_grad]
            self.names += [name for name, _ in learned]
            self.variables += [p for _, p in learned]

    @contextmanager
    def in_double(self) -> Iterator[None]:
        """Inside, a module's parameters and buffers are doubles; afterwards they are what they were."""
        before = [(t, t._array, t._exposed) for t in (*self._parameters, *self._buffers)]
        try:
            for tensor, array, _ in before:
                tensor._array = array.astype(np.float64 if array.dtype.kind == "f" else array.dtype)
                tensor._exposed = False
            yield
        finally:
            for tensor, array, exposed in before:
                tensor._array, tensor._exposed = array, exposed

    def run(self) -> list[Tensor]:
        """The float results, recorded. What a module keeps from one call to the next stays as it was."""
        kept = [(buffer, buffer._array.copy()) for buffer in self._buffers]
        try:
            with enable_grad():
                out = self._f(*self._inputs)
        finally:
            for buffer, array in kept:
                buffer._array = array
        outs = list(out) if isinstance(out, (tuple, list)) else [out]
        outs = [o if isinstance(o, Tensor) else Tensor(o) for o in outs]
        return [o for o in outs if o.dtype.kind == "f"]


def _variable(value: Any) -> Tensor:
    """A leaf with the values in double precision, in the memory layout that they have."""
    array = value._array if isinstance(value, Tensor) else np.asarray(value)
    variable = Tensor._wrap(array if array.dtype == np.float64 else array.astype(np.float64))
    variable.requires_grad = True
    variable.name = getattr(value, "name", None)
    return variable


class Gradient(Checked):
    """The gradient of a function as a function itself: of its variables, and of the upstream gradients.

    It is linear in the upstream gradients; its derivative by them is forward mode.
    """

    def __init__(self, function: Function, rng: np.random.Generator) -> None:
        self._function = function
        self._upstream = [Tensor(rng.normal(size=out.shape), requires_grad=True) for out in function.run()]
        self.variables = [*function.variables, *self._upstream]
        self.names = [*function.names, *(f"upstream gradient {i}" for i in range(len(self._upstream)))]

    def run(self) -> list[Tensor]:
        found = self._function.gradients(self._function.run(), self._upstream, record=True)
        return [g if isinstance(g, Tensor) else Tensor(g) for g in found]
