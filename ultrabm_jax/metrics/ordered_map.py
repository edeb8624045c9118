"""A map over items by threads, in order and with constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(function: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """function(item) of each item in order, computed by `workers` threads.

    At most `workers` results are computed ahead, and items are taken from the iterable as they are needed. The first
    item is computed alone, so that what it compiles or loads is not compiled or loaded by each thread.
    """
    items = iter(items)
    for first in items:
        yield function(first)
        break
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
