"""detect_nan: stop at the first operation that makes NaN or infinity, and say which one, where, and of what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import numpy as np

from tensorgraph import hooks
from tensorgraph._backward import place
from tensorgraph._context import record
from tensorgraph._tape import Array, Leaf, Node, Traced
from tensorgraph.graph import Graph

_watching: ContextVar[object] = ContextVar("detect_nan", default=None)


@contextmanager
def detect_nan() -> Iterator[None]:
    """Stop at the first recorded operation, forward or backward, that makes NaN or infinity of finite numbers.

    An operation that only passes on what it was given is not blamed; NaN among the data is reported where it comes in.
    It watches this thread and context, keeps source lines as `tg.record()` does, and costs nothing when it is off. What
    is not recorded, as inside `tg.no_grad()`, is not seen.

    Raises:
        FloatingPointError: names the layer, the operation and its line, the first element and the numbers it was made
            of. The error's `graph` is the graph up to there.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([1.0, 0.0], requires_grad=True)
        >>> try:
        ...     with tg.detect_nan():
        ...         y = tg.log(x)
        ... except FloatingPointError as error:
        ...     print(error)
        log (recorded at ...): made -inf at [1] of x = 0.0; 1 of 2 values is not finite
    """
    inside = object()

    def forward(node: Node) -> None:
        if _watching.get() is inside:
            _check_result(node)

    def backward(node: Node, upstream: Any, downstream: list[Any]) -> None:
        if _watching.get() is inside:
            _check_gradients(node, upstream, downstream)

    token = _watching.set(inside)
    try:
        with record(), hooks.watch(forward, backward), np.errstate(all="ignore"):  # NumPy's warnings know less
            yield
    finally:
        _watching.reset(token)


def _check_result(node: Any) -> None:
    if _finite(node.out):
        return
    given = dict(zip(node.primitive.names(node.arrays), node.arrays))
    if _made(node.out, given.values()):
        _stop(node, node.out, "", given)
    for (name, value), parent in zip(given.items(), node.parents):
        if (parent is None or isinstance(parent, Leaf)) and _is_nan(value) and _is_nan(node.out):
            _stop(node, np.asarray(value), f"{name} came in with ", {})


def _check_gradients(node: Any, upstream: Any, downstream: list[Any]) -> None:
    g = _array(upstream)
    if not _finite(g):  # no rule made it, or the walk had stopped there
        _stop(node, g, "the gradient that arrives, as given to backward() or as a sum over several uses, is ", {})
    names = node.primitive.names(node.arrays)
    given = {"upstream": g, "out": node.out, **dict(zip(names, node.arrays))}
    for name, d in zip(names, downstream):
        if d is not None and _made(_array(d), given.values()):
            _stop(node, _array(d), f"the gradient for {name} ", given)


def _made(result: Array, given: Iterable[Any]) -> bool:
    """Whether the result has NaN or infinity that was not in what it was made of."""
    if _finite(result):
        return False
    given = list(given)
    return all(map(_finite, given)) or (_is_nan(result) and not any(map(_is_nan, given)))


def _stop(node: Any, values: Array, what: str, given: dict[str, Any]) -> NoReturn:
    """Raise the error: where the first such element is, and the elements of the arguments at its place."""
    bad = np.isnan(values) if _is_nan(values) else ~np.isfinite(values)
    first = np.unravel_index(bad.argmax(), bad.shape)
    at = f" at {[int(i) for i in first]}" if first else ""
    here = [
        f"{name} = {np.broadcast_to(value, values.shape)[first]}"
        for name, value in given.items()
        if value is not None and np.shape(value) in ((), values.shape)
    ]
    of = f" of {', '.join(here)}" if here else ""
    many = int(np.count_nonzero(~np.isfinite(values)))
    made = "made " if given else ""
    count = f"{many} of {values.size:,} values {'is' if many == 1 else 'are'} not finite"
    error = FloatingPointError(f"{place(node)}: {what}{made}{values[first]}{at}{of}; {count}")
    from tensorgraph._snapshot import snapshot_at

    error.graph = Graph(snapshot_at(node, error))  # type: ignore[attr-defined]
    raise error


def _array(value: Any) -> Array:
    return value._array if isinstance(value, Traced) else value


def _finite(value: Any) -> bool:
    return value is None or bool(np.isfinite(value).all())


def _is_nan(value: Any) -> bool:
    return value is not None and bool(np.isnan(value).any())
