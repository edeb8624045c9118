"""The largest batch that fits, by doubling and bisection."""

from __future__ import annotations

from collections.abc import Callable


def largest_batch(fits: Callable[[int], bool], *, limit: int = 4096) -> int:
    """The largest number in [0, limit] that fits, if every smaller one does; about 2 log2 of it calls."""
    low, high = 0, 1
    while high <= limit and fits(high):
        low, high = high, 2 * high
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
