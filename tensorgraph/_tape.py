"""The tape: what one recorded call leaves behind, and who may write to an array.

A `Node` holds arrays and its parent nodes, never a Tensor. So nothing points back, a graph is a plain heap of objects
without cycles, and it dies by reference counting the moment nobody can reach it.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from operator import attrgetter
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from tensorgraph._context import Context, running, user_line
from tensorgraph.errors import GradError
from tensorgraph.hooks import on_forward

if TYPE_CHECKING:
    from tensorgraph._primitive import Primitive

Array = np.ndarray[Any, np.dtype[Any]]


class Node(ABC):
    """One recorded call: `out = primitive(*arrays, **options)`; parents[i] made arrays[i], None for a constant."""

    __slots__ = ("name", "options", "out", "primitive", "scope", "source")

    out: Array | None  # None once the node was freed, as options
    options: dict[str, Any] | None
    name: str | None

    def __init__(
        self, primitive: Primitive | None, out: Array | None, options: dict[str, Any], context: Context
    ) -> None:
        self.primitive = primitive
        self.out = out
        self.options = options
        self.scope = running()
        self.source = user_line() if context.lines else None
        self.name = None
        if on_forward:
            for watcher in on_forward:
                watcher(self)

    @property
    @abstractmethod
    def arrays(self) -> tuple[Any, ...]:
        """The arguments of the call."""

    @property
    @abstractmethod
    def parents(self) -> tuple[Node | None, ...]:
        """The nodes that made them."""

    @property
    def op(self) -> str:
        """The name of the operation, "leaf" for a tensor that was made rather than computed."""
        return self.primitive.name if self.primitive is not None else "leaf"

    @property
    def gate(self) -> str | None:
        return self.primitive.gate if self.primitive is not None else None

    @property
    def multiply_adds(self) -> int:
        """How many numbers the call has multiplied and added up, in operations that are made of such sums."""
        count = self.primitive.multiply_adds if self.primitive is not None else None
        return count(self.out, *self.arrays, **(self.options or {})) if count is not None else 0

    @property
    def freed(self) -> bool:
        return self.options is None

    @abstractmethod
    def free(self) -> None:
        """Let go of everything a later walk would need."""

    def __repr__(self) -> str:
        shape = "freed" if self.out is None else f"shape {self.out.shape}"
        return f"<Node {self.op}, {shape}>"


class Call(Node):
    """A node of any number of arguments."""

    __slots__ = ("arrays", "parents")

    arrays: tuple[Any, ...]
    parents: tuple[Node | None, ...]

    def __init__(
        self,
        primitive: Primitive,
        parents: tuple[Node | None, ...],
        arrays: tuple[Any, ...],
        out: Array,
        options: dict[str, Any],
        context: Context,
    ) -> None:
        self.parents = parents
        self.arrays = arrays
        Node.__init__(self, primitive, out, options, context)

    def free(self) -> None:
        self.out = self.options = None
        self.arrays = self.parents = ()


class PairCall(Node):
    """A node of two arguments and no options: the most frequent, so it does without tuples.

    Python's garbage collector looks at every live container again and again. In a long chain it would spend more time
    with two tuples a node than the operations take.
    """

    __slots__ = ("_a", "_b", "_p", "_q")

    arrays = property(attrgetter("_a", "_b"))
    parents = property(attrgetter("_p", "_q"))

    def __init__(
        self, primitive: Primitive, p: Node | None, q: Node | None, a: Any, b: Any, out: Array, context: Context
    ) -> None:
        self._p = p
        self._q = q
        self._a = a
        self._b = b
        Node.__init__(self, primitive, out, _NO_OPTIONS, context)

    def free(self) -> None:
        self._a = self._b = self._p = self._q = self.out = self.options = None


_NO_OPTIONS: dict[str, Any] = {}  # one for all: a dictionary less to make and to collect


class Leaf(Node):
    """A tensor that requires a gradient and was not computed. It knows its tensor weakly, to hand the gradient over."""

    __slots__ = ("tensor",)

    arrays = parents = ()

    def __init__(self, tensor: Traced) -> None:
        self.primitive = self.out = self.scope = self.source = self.name = None
        self.options = _NO_OPTIONS
        self.tensor = weakref.ref(tensor)

    def free(self) -> None:
        """A leaf holds nothing."""


named: weakref.WeakValueDictionary[tuple[int, str], Array] = weakref.WeakValueDictionary()
"""Arrays of tensors without a node that have a name, for pictures: (id of the array, name) -> the array."""


def count_uses(roots: Iterable[Node], ends: Collection[Node] = ()) -> dict[Node, int]:
    """Every node the roots depend on, with the number of edges that lead to it; iterative, sees each edge once.

    Raises:
        GradError: a node that is not among the ends was freed by an earlier backward pass.
    """
    uses = dict.fromkeys(roots, 0)
    stack = list(uses)
    pop, push = stack.pop, stack.append
    while stack:
        node = pop()
        if node.options is None and node not in ends:
            raise GradError(
                f"backward: the graph at {node.op!r} was freed by an earlier backward pass; "
                "pass retain_graph=True to the first one to walk it again"
            )
        for parent in node.parents:
            if parent is not None:
                if parent in uses:
                    uses[parent] += 1
                else:
                    uses[parent] = 1
                    if parent.primitive is not None:  # a leaf depends on nothing
                        push(parent)
    return uses


def topological_order(roots: Iterable[Node], ends: Collection[Node] = ()) -> list[Node]:
    """Every node the roots depend on, each before its parents.

    Raises:
        GradError: a node that is not among the ends was freed by an earlier backward pass.
    """
    uses = count_uses(roots, ends)
    order = [node for node, count in uses.items() if count == 0]
    for node in order:  # grows while it runs: a node joins when the last of its uses has been listed
        for parent in node.parents:
            if parent is not None:
                uses[parent] -= 1
                if not uses[parent]:
                    order.append(parent)
    return order


# --- who may write to an array ---------------------------------------------------------------------------------------
#
# A recorded graph must see the values it was recorded with. So an array that the tape may hold is never written to:
# whoever wants to write (the user through `.data`, an optimizer) gets an array that nobody else holds, and the tape
# never keeps an array that the user can still write to. Reference counts tell who else holds an array, its views
# included, because a view holds its base. docs/tape.md has the reasoning and the measured cost.


class Traced:
    """What the tape knows of a tensor: an array, the node that made it, and whether the user can write to it."""

    __slots__ = ("__weakref__", "_array", "_exposed", "_grad", "_name", "_node")

    _array: Array
    _node: Node | None
    _exposed: bool
    _grad: Any
    _name: str | None

    @staticmethod
    def _wrap(array: Array, node: Node | None = None) -> Any:
        """The result of an operation on this class of tensor; the class itself says what it is."""
        raise NotImplementedError("Traced is a base class; Tensor says how results are wrapped")


def _references(tensor: Any) -> int:
    """How many references there are to the tensor's array: its own, those of the measurement, and others'."""
    array = tensor._array
    return getrefcount(array)


class _Probe:
    def __init__(self) -> None:
        self._array = np.empty(0)


_ALONE = _references(_Probe())  # measured, because the measurement's own references differ between Python versions


def writable(tensor: Traced) -> Array:
    """The tensor's array, after making sure that no graph, view or other tensor shares it."""
    array = tensor._array
    if tensor._exposed or (getrefcount(array) <= _ALONE and array.base is None and array.flags.writeable):
        return array
    tensor._array = array = array.copy()
    return array


def expose(tensor: Traced) -> Array:
    """The tensor's array, for the user to keep and to write to."""
    array = writable(tensor)
    tensor._exposed = True
    return array


def keepable(tensor: Traced) -> Array:
    """The tensor's array, or a copy if somebody outside can still write to it, for the tape to keep."""
    if tensor._exposed:
        if _references(tensor) > _ALONE:
            return tensor._array.copy()
        tensor._exposed = False
    return tensor._array
