"""Work done ahead, in a thread beside the loop that uses it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def prefetched(make: Callable[[int], T], numbers: Iterable[int], ahead: int) -> Iterator[T]:
    """make(n) for each of the numbers, in order; while one is in use, the thread makes up to `ahead` more.

    An error is raised where the result would have come, with the traceback of the thread. The thread ends with the
    loop, however the loop is left.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    pool = ThreadPoolExecutor(1, thread_name_prefix="DataLoader")
    pending: deque[Future[Any]] = deque()
    try:
        for n in numbers:
            pending.append(pool.submit(make, n))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
