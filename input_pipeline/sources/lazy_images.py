"""An image of a data set before it is read: its size is known, a crop or the whole can be asked for.

`RecordImage` (records/) reads a crop alone from a shard; here are images in files, which are decoded as a whole and
kept in the cache, and images made from others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from input_pipeline.cache import ArrayCache
from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.image.resize import shrink

Size = tuple[int, int]  # h, w
Read = Callable[[Path], np.ndarray]
REACH = 3  # a bicubic pixel of a shrunk image sees 2 of its own width to each side; one more to be safe


class LazyImage(Protocol):
    """(h, w) or (h, w, c) of one type."""

    @property
    def size(self) -> Size:
        """(h, w), known without decoding."""
        ...

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """A window inside the image; not to be written to."""
        ...

    def whole(self) -> np.ndarray:
        """The image; not to be written to."""
        ...


@dataclass(frozen=True)
class ImageFile:
    """A file, decoded by `read` when first asked for; UserError if its size is not what the header said."""

    path: Path
    size: Size
    cache: ArrayCache
    read: Read = read_rgb_uint8

    def whole(self) -> np.ndarray:
        return self.cache.get(("file", self.path), self._decode)

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        return self.whole()[top : top + height, left : left + width]

    def _decode(self) -> np.ndarray:
        image = self.read(self.path)
        if image.shape[:2] != self.size:
            (h, w), (height, width) = image.shape[:2], self.size
            raise UserError(f"{self.path}: decodes to {w}x{h}, its header says {width}x{height}")
        return image


@dataclass(frozen=True)
class DownscaledImage:
    """`of` scaled down by a whole number, see `shrink`; a crop reads only what it depends on."""

    of: LazyImage
    scale: int

    @property
    def size(self) -> Size:
        height, width = self.of.size
        return height // self.scale, width // self.scale

    def whole(self) -> np.ndarray:
        return shrink(self.of.whole(), self.scale)

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        (y0, y1), (x0, x1) = (
            (max(start - REACH, 0), min(start + length + REACH, side))
            for start, length, side in zip((top, left), (height, width), self.size, strict=True)
        )
        s = self.scale
        around = shrink(self.of.crop(s * y0, s * x0, s * (y1 - y0), s * (x1 - x0)), s)
        return around[top - y0 : top - y0 + height, left - x0 : left - x0 + width]


@dataclass(frozen=True)
class MappedImage:
    """What `make` does to the whole of `of` (same height and width), kept in the cache under `key`."""

    of: LazyImage
    make: Callable[[np.ndarray], np.ndarray]
    key: Hashable
    cache: ArrayCache = field(repr=False)

    @property
    def size(self) -> Size:
        return self.of.size

    def whole(self) -> np.ndarray:
        return self.cache.get(self.key, lambda: self.make(self.of.whole()))

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        return self.whole()[top : top + height, left : left + width]
