"""Shows how much of a copy has arrived: a bar in a terminal, elsewhere a line now and then."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

from tqdm import tqdm

from ultrabm_jax.logging import logger

EVERY = 30.0  # seconds between two lines


class Transfer:
    """Counts the bytes of `total` that several threads receive from `url`; `cancel` ends them at the next part."""

    def __init__(self, url: str, total: int) -> None:
        self._url, self._total, self._received = url, total, 0
        self._lock = threading.Lock()
        self._next = time.monotonic() + EVERY
        self.cancelled = False
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, unit="B", unit_scale=True, dynamic_ncols=True, disable=not terminal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def cancel(self) -> None:
        """Makes all threads fail when they receive more."""
        self.cancelled = True

    @contextlib.contextmanager
    def counted(self) -> Iterator[Callable[[int], None]]:
        """A function to call with the bytes of each part; they are not counted if the block raises."""
        own = 0

        def received(count: int) -> None:
            nonlocal own
            if self.cancelled:
                raise InterruptedError("cancelled")
            own += count
            self._add(count)

        try:
            yield received
        except BaseException:
            self._add(-own)
            raise

    def _add(self, count: int) -> None:
        with self._lock:
            self._received += count
            self._bar.update(count)
            now = time.monotonic()
            if self._bar.disable and now > self._next:
                self._next = now + EVERY
                done, total = self._received / 2**30, self._total / 2**30
                logger.info("copying %s: %.2f of %.2f GiB", self._url, done, total)
