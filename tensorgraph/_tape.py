"""The tape: what one recorded call leaves behind, who may write to an array, and whether recording is on.

A `Node` holds arrays and its parent nodes, never a Tensor. So nothing points back, a graph is a plain heap of objects
without cycles, and it dies by reference counting the moment nobody can reach it.
"""

from __future__ import annotations

import inspect
import linecache
import sys
import weakref
from collections.abc import Collection, Iterable
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tensorgraph.errors import GradError, ShapeError
from tensorgraph.hooks import on_forward

if TYPE_CHECKING:
    from tensorgraph._primitive import Primitive

Array = np.ndarray[Any, np.dtype[Any]]
LIBRARY = ("tensorgraph", "nn")


# --- what is recorded ------------------------------------------------------------------------------------------------


class Source(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    @property
    def code(self) -> str:
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}"


class Node:
    """One recorded call: `out = primitive(*arrays, **options)`; parents[i] made arrays[i], None for a constant."""

    __slots__ = ("arrays", "name", "options", "out", "parents", "primitive", "scope", "source")

    arrays: tuple[Any, ...] | None  # None once the node was freed, as out and options
    out: Array | None
    options: dict[str, Any] | None
    name: str | None

    def __init__(
        self,
        primitive: Primitive | None,
        parents: tuple[Node | None, ...],
        arrays: tuple[Any, ...],
        out: Array | None,
        options: dict[str, Any],
        context: Context,
    ) -> None:
        self.primitive = primitive
        self.parents = parents
        self.arrays = arrays
        self.out = out
        self.options = options
        self.scope = context.scope
        self.source = user_line() if context.lines else None
        self.name = None
        if on_forward:
            for watcher in on_forward:
                watcher(self)

    @property
    def op(self) -> str:
        """The name of the operation, "leaf" for a tensor that was made rather than computed."""
        return self.primitive.name if self.primitive is not None else "leaf"

    @property
    def gate(self) -> str | None:
        return self.primitive.gate if self.primitive is not None else None

    @property
    def freed(self) -> bool:
        return self.arrays is None

    def free(self) -> None:
        """Let go of everything a later walk would need."""
        self.arrays = self.out = self.options = None
        self.parents = ()

    def __repr__(self) -> str:
        shape = "freed" if self.out is None else f"shape {self.out.shape}"
        return f"<Node {self.op}, {shape}>"


class Leaf(Node):
    """A tensor that requires a gradient and was not computed. It knows its tensor weakly, to hand the gradient over."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Traced) -> None:
        self.primitive = None
        self.parents = self.arrays = ()
        self.out = self.scope = self.source = self.name = None
        self.options = {}
        self.tensor = weakref.ref(tensor)


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
        if node.arrays is None and node not in ends:
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
    return sys.getrefcount(array)


class _Probe:
    def __init__(self) -> None:
        self._array = np.empty(0)


_ALONE = _references(_Probe())  # measured, because the measurement's own references differ between Python versions


def writable(tensor: Traced) -> Array:
    """The tensor's array, after making sure that no graph, view or other tensor shares it."""
    if not tensor._exposed:
        array = tensor._array
        owned = array.base is None and array.flags.writeable
        del array
        if not owned or _references(tensor) > _ALONE:
            tensor._array = tensor._array.copy()
    return tensor._array


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


# --- is recording on, and where are we -------------------------------------------------------------------------------


class Context(NamedTuple):
    """What holds for the code that runs now, in this thread and context."""

    recording: bool = True
    scope: object = None  # the layer that is running; only str() of it is used
    lines: bool = False  # keep the user's source line in every node
    outer: Any = None  # the context to return to


_context: ContextVar[Context] = ContextVar("tensorgraph", default=Context())  # noqa: B039 (a NamedTuple is immutable)
current = _context.get


class _Setting(ContextDecorator):
    """Context manager and decorator that changes the context inside. It has no state: nest and share it freely."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def __call__(self, function: Any) -> Any:
        later = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        if any(kind(function) for kind in later):
            raise TypeError(
                f"{function.__name__}: a decorator would end before a generator or coroutine runs; use `with` inside it"
            )
        return super().__call__(function)

    def __enter__(self) -> None:
        context = current()
        _context.set(context._replace(outer=context, **self._changes))

    def __exit__(self, *exc: object) -> None:
        _context.set(current().outer)


def no_grad() -> _Setting:
    """Record nothing inside: results do not require gradients. Holds for this thread and context only.

    Returns:
        A context manager, also usable as a decorator.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> with tg.no_grad():
        ...     y = x * 2
        >>> y.requires_grad
        False
    """
    return _Setting(recording=False)


def enable_grad() -> _Setting:
    """Record again inside a `no_grad` block.

    Example:
        >>> import tensorgraph as tg
        >>> with tg.no_grad(), tg.enable_grad():
        ...     print(tg.is_grad_enabled())
        True
    """
    return _Setting(recording=True)


def is_grad_enabled() -> bool:
    """Whether operations are recorded here."""
    return current().recording


def record() -> _Setting:
    """Keep the user's source line of every operation recorded inside, for errors and pictures.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor(2.0, requires_grad=True)
        >>> lines = []
        >>> with tg.record(), tg.hooks.watch(forward=lambda node: lines.append(node.source)):
        ...     y = x * x
        >>> lines[0].line > 0
        True
    """
    return _Setting(lines=True)


class scope:  # noqa: N801 (a context manager, used like a function)
    """Operations recorded inside belong to `label`, the layer that is running; errors raised inside begin with it.

    Arguments:
        label: any object; `str(label)` is taken only when somebody looks.

    Example:
        >>> import tensorgraph as tg
        >>> with tg.scope("encoder"):
        ...     try:
        ...         tg.ones(2) + tg.ones(3)
        ...     except tg.ShapeError as error:
        ...         print(error)
        encoder: add: x of shape (2,) and y of shape (3,) do not broadcast
    """

    __slots__ = ("_label",)

    def __init__(self, label: object) -> None:
        self._label = label

    def __enter__(self) -> None:
        context = current()
        _context.set(Context(context.recording, self._label, context.lines, context))

    def __exit__(self, *exc: object) -> None:
        _context.set(current().outer)


def current_scope() -> Any:
    """The label of the innermost `scope` that is running, None outside of all."""
    return current().scope


def user_line() -> Source | None:
    """The innermost line of the running program that is not the library's own."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in LIBRARY:
            return Source(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return None


_KINDS: tuple[type[Exception], ...] = (
    ShapeError,
    np.exceptions.AxisError,
    TypeError,
    IndexError,
    ValueError,
    OverflowError,
)


def public_kind(error: Exception) -> type[Exception] | None:
    """The class in which an error of ours or NumPy's is raised again with a better text; None for foreign errors."""
    if type(error) in _KINDS:
        return type(error)
    if type(error).__module__.partition(".")[0] == "numpy":  # its private subclasses are not made from a text
        return next((kind for kind in _KINDS if isinstance(error, kind)), None)
    return None


def located(kind: type[Exception], op: str, text: object) -> Exception:
    """The error `kind` with the running layer and the operation named before the text."""
    place = current().scope
    if place is None:
        return kind(f"{op}: {text}")
    layer = str(place)
    said = sorted(layer.rpartition("(")[2].rstrip(")").lower()) == sorted(op.replace("_", ""))
    return kind(f"{layer}: {text}" if said else f"{layer}: {op}: {text}")  # ConvTranspose2d says conv2d_transpose
