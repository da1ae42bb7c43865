"""Is recording on, and where are we: what holds for the code that runs now, and errors that say where it runs."""

from __future__ import annotations

import inspect
import linecache
import os
import sys
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from tensorgraph.errors import ShapeError
from tensorgraph.hooks import on_error

LIBRARY = ("tensorgraph", "nn")


class Context(NamedTuple):
    """What holds for the code that runs now, in this thread and context, beside the layer that is running."""

    recording: bool = True
    lines: bool = False  # keep the user's source line in every node
    outer: Any = None  # the context to return to, and the scope
    outer_scope: object = None


_context: ContextVar[Context] = ContextVar("tensorgraph", default=Context())  # noqa: B039 (a NamedTuple is immutable)
current = _context.get

_scope: ContextVar[Any] = ContextVar("tensorgraph.scope", default=None)  # by itself: it changes with every layer
running = _scope.get  # the layer that is running; only str() of it is used


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
        _context.set(context._replace(outer=context, outer_scope=running()))
        _scope.set(self._label)

    def __exit__(self, *exc: object) -> None:
        context = current()
        _scope.set(context.outer_scope)
        _context.set(context.outer)

    @staticmethod
    def call(label: object, function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """`function(*args, **options)` inside `scope(label)`, at less cost: layers are called often."""
        outer = running()
        try:
            _scope.set(label)  # inside: a Ctrl-C may come right after it
            return function(*args, **options)
        except Exception as error:
            for watcher in on_error:
                watcher(error, label, args)
            raise
        finally:
            _scope.set(outer)


def current_scope() -> Any:
    """The label of the innermost `scope` that is running, None outside of all."""
    return running()


def label_of(place: Any, known: dict[Any, Any]) -> str:
    """The text of a scope's label; `known` keeps what one look-up finds for the next, among very many labels."""
    label = getattr(place, "label", None)
    return str(place) if label is None else label(known)


class Source(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    @property
    def code(self) -> str:
        return linecache.getline(self.file, self.line).strip()

    @property
    def brief(self) -> str:
        """Without the folder, for pictures that are handed on: where it lies on one machine says nothing on another."""
        return f"{os.path.basename(self.file)}:{self.line}: {self.code}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}"


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
    place = running()
    if place is None:
        return kind(f"{op}: {text}")
    layer = str(place)
    return kind(f"{layer}: {text}" if _named_like(layer, op) else f"{layer}: {op}: {text}")


def _named_like(layer: str, op: str) -> bool:
    """Whether the class of the layer, as in "features.2 (Conv2d)", says the operation, which is not said again then."""
    name = layer.rpartition("(")[2].rstrip(")").lower()
    return name == op.replace("_", "") or (name, op) == ("convtranspose2d", "conv2d_transpose")
