"""Progress of an image that is restored in tiles."""

from __future__ import annotations

import time
from collections.abc import Callable

from ultrabm_jax.logging import logger

INTERVAL = 5.0  # seconds between two lines, at least


class TileProgress:
    """Call it after each of `total` tiles: logs their number and the time left, at most every `INTERVAL` seconds.

    The time of the first tile, which may include compilation, is not used to predict that of the others.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done = total, 0
        self._clock = clock
        self._logged, self._first = clock(), 0.0  # times of the last line and of the first tile

    def __call__(self) -> None:
        now = self._clock()
        self.done += 1
        if self.done == 1:
            self._first = now
        if self.done == self.total or now - self._logged < INTERVAL:
            return
        self._logged = now
        left = ""
        if self.done > 1:
            seconds = (now - self._first) / (self.done - 1) * (self.total - self.done)
            left = f", about {format_seconds(seconds)} left"
        logger.info(f"tile {self.done} of {self.total}{left}")


def format_seconds(seconds: float) -> str:
    """A duration for a reader: "45 s", "2 min 5 s", "1 h 3 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
