"""The three places where others may watch the tape: nothing else looks at what is recorded as it happens.

A watcher in `on_forward` is called as `watcher(node)` for every node, right after it was recorded.
A watcher in `on_backward` is called as `watcher(node, upstream, downstream)` for every node of a reverse walk,
with the gradient that arrived and the list of gradients that leave, one for each parent (None where there is none).
A watcher in `on_error` is called as `watcher(error, what, args)` when the call `what(*args)` raises: `what` is a
primitive, or the label of the layer that was running when something else failed.
The first two are empty unless somebody watches, and then cost one truth test an operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

on_forward: list[Callable[[Any], None]] = []
on_backward: list[Callable[[Any, Any, list[Any]], None]] = []
on_error: list[Callable[[Exception, Any, tuple[Any, ...]], None]] = []


@contextmanager
def watch(
    forward: Callable[[Any], None] | None = None, backward: Callable[[Any, Any, list[Any]], None] | None = None
) -> Iterator[None]:
    """Call `forward(node)` and `backward(node, upstream, downstream)` for everything that happens inside.

    Example:
        >>> import tensorgraph as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> with tg.hooks.watch(forward=lambda node: print(node.op)):
        ...     y = (x * x).sum()
        mul
        sum
    """
    pairs: list[tuple[list[Any], Any]] = [(on_forward, forward), (on_backward, backward)]
    for watchers, watcher in pairs:
        if watcher is not None:
            watchers.append(watcher)
    try:
        yield
    finally:
        for watchers, watcher in pairs:
            if watcher is not None:
                watchers.remove(watcher)
