"""Progress bars over the files or shards of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Wraps an iterator of known length, as tqdm does."""

    def __call__(self, items: Iterator[T], count: int) -> Iterable[T]: ...


def no_progress(items: Iterator[T], count: int) -> Iterable[T]:
    """Shows nothing."""
    return items


def progress_bar(name: str, unit: str = "image") -> Progress:
    """A bar on standard error if that is a terminal."""

    def wrap(items: Iterator[T], count: int) -> Iterable[T]:
        from tqdm import tqdm  # not needed without a progress bar

        bar: Iterable[T] = tqdm(items, total=count, desc=name, unit=unit, disable=None)  # None: terminals only
        return bar

    return wrap
