"""Chooses which image sizes share a compiled program.

XLA compiles a program for each shape. Several sizes can share a canvas (layers/canvas.py) instead, at the price of
computing on all of its pixels. For each image, `CanvasChoice` weighs the pixels that a further program would save
against the price of compiling it:

    saving(canvas) = sum over the sizes s that fit on it of  (cost now - count(s) * pixels of the canvas), if positive
    cost now       = count(s) * pixels of the smallest canvas in use that s fits on, or without one
                     price + count(s) * pixels of its own canvas

The counts are those of the images so far and of the announced ones. The choice depends on nothing else, so that a
second run finds its programs in the compilation cache. For the same purpose the sides of canvases are rounded up to 8,
9, ... or 16 times a power of two. A single size gets a program without a canvas.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

import numpy as np

Size: TypeAlias = tuple[int, int]  # height and width in low pixels

GRID = 16  # sides of canvases are multiples of this
LIKELY_IMAGES = 16  # that follow on a canvas for a size that was not announced
GROWTH = 1.25  # of the sides of such canvases, so that slowly growing sizes need few
MAX_EXCESS = 1.25  # a canvas has at most this many times the pixels of a tile


class CanvasChoice:
    """Chooses a canvas for one image after the other.

    multiple: canvases have sides that are multiples of this and of `GRID`.
    tile: side of a tile in low pixels, which bounds the memory; 0: unbounded.
    """

    def __init__(self, *, multiple: int, tile: int) -> None:
        self._multiple = int(np.lcm(multiple, GRID))
        self._max_pixels = MAX_EXCESS * tile**2 if tile else np.inf
        self._seen: collections.Counter[Size] = collections.Counter()
        self._expected: collections.Counter[Size] = collections.Counter()
        self._alone: set[Size] = set()  # sizes with a program of their own
        self._canvases: set[Size] = set()

    def expect(self, sizes: Iterable[Size]) -> None:
        """Announces images of these sizes, each as often as it occurs."""
        self._expected = collections.Counter(sizes)

    def choose(self, size: Size, price: Callable[[], float]) -> Size | None:
        """The canvas for the next image; None: a program for its size alone.

        price: of a compilation, in pixels that are restored in the same time; called if there are several sizes.
        """
        self._seen[size] += 1
        counts = self._seen | self._expected  # the larger count of each size
        own = self._rounded(size)
        if size in self._alone or len(counts) == 1 or own is None:
            self._alone.add(size)
            return None
        while True:
            canvas = _smallest(own, self._canvases)
            saving, further = self._best_canvas(own, counts, price())
            if canvas is not None and saving <= price():
                break
            if canvas is None and size not in self._expected:
                further = self._with_room(further, price())
            self._canvases.add(further)
        if counts[size] * (_pixels(canvas) - _pixels(size)) <= price():
            return canvas
        self._alone.add(size)
        return None

    def _best_canvas(self, own: Size, counts: collections.Counter[Size], price: float) -> tuple[float, Size]:
        """The further canvas that holds `own` and saves most, with its saving in pixels."""
        sharing: collections.Counter[Size] = collections.Counter()  # by rounded size
        for size, count in counts.items():
            rounded = self._rounded(size)
            if rounded is not None:
                sharing[rounded] += count

        def cost_now(rounded: Size, count: int) -> float:
            canvas = _smallest(rounded, self._canvases)
            return count * _pixels(canvas) if canvas else price + count * _pixels(rounded)

        def saving(canvas: Size) -> float:
            fitting = ((r, n) for r, n in sharing.items() if _fits(r, canvas))
            return sum(max(0.0, cost_now(r, n) - n * _pixels(canvas)) for r, n in fitting)

        cover = functools.reduce(_cover, sharing)
        options = [c for c in {own, cover, *sharing} if _fits(own, c) and _pixels(c) <= self._max_pixels]
        return max(((saving(c), c) for c in options), key=lambda option: (option[0], -_pixels(option[1]), option[1]))

    def _with_room(self, canvas: Size, price: float) -> Size:
        """A canvas for a size that was not announced: for all earlier ones and larger ones, if that costs little."""
        cover = functools.reduce(_cover, self._canvases, canvas)
        for option in (self._rounded((int(GROWTH * cover[0]), int(GROWTH * cover[1]))), cover):
            if option is not None and _pixels(option) <= min(self._max_pixels, _pixels(canvas) + price / LIKELY_IMAGES):
                return option
        return canvas

    def _rounded(self, size: Size) -> Size | None:
        """The smallest canvas for a size, coarsely rounded if memory allows; None: there is none."""
        for coarse in (True, False):
            canvas = self._round_up(size[0], coarse), self._round_up(size[1], coarse)
            if _pixels(canvas) <= self._max_pixels:
                return canvas
        return None

    def _round_up(self, side: int, coarse: bool) -> int:
        step = 2 ** max((side - 1).bit_length() - 4, 0) if coarse else 1
        side = -(-side // step) * step
        return -(-side // self._multiple) * self._multiple


def _fits(size: Size, canvas: Size) -> bool:
    return size[0] <= canvas[0] and size[1] <= canvas[1]


def _cover(a: Size, b: Size) -> Size:
    return max(a[0], b[0]), max(a[1], b[1])


def _smallest(size: Size, canvases: Collection[Size]) -> Size | None:
    return min((c for c in canvases if _fits(size, c)), key=lambda c: (_pixels(c), c), default=None)


def _pixels(size: Size) -> int:
    return size[0] * size[1]
