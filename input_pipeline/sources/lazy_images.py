"""Images of a data set that are not read yet: the size is known, and a crop or the whole image can be requested.

`ImageFile` reads a crop from a file, `records.RecordImage` from a shard. The other classes derive an image from another
one or keep it in memory.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import Region, read_rgb_uint8
from ultrabm_jax.image.resize import shrink

Size = tuple[int, int]  # h, w
CONTEXT = 3  # output pixels read around a crop: bicubic downscaling depends on 2 to each side, plus one to be safe


class Read(Protocol):
    """Reads an RGB image file or a region of it, (h, w, 3) uint8."""

    def __call__(self, path: Path, *, region: Region | None = None) -> np.ndarray:
        """Raises UserError if the image cannot be read."""
        ...


class LazyImage(Protocol):
    """An image (h, w) or (h, w, c). Returned arrays must not be modified."""

    @property
    def size(self) -> Size:
        """(h, w), known without decoding."""
        ...

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """A window that lies inside the image."""
        ...

    def whole(self) -> np.ndarray:
        """The whole image."""
        ...


class ArrayCache:
    """Decoded images up to a size limit; what does not fit is computed again each time. Thread-safe.

    Nothing is evicted: in a shuffled epoch, every image is equally likely to be the next.
    """

    def __init__(self, limit_bytes: int):
        self._free_bytes = limit_bytes
        self._arrays: dict[Hashable, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of `key`, read-only. `make` runs outside the lock, so two threads may both call it for one key."""
        with self._lock:
            if key in self._arrays:
                return self._arrays[key]
        array = make()
        array.flags.writeable = False
        with self._lock:
            if key not in self._arrays and array.nbytes <= self._free_bytes:
                self._arrays[key] = array
                self._free_bytes -= array.nbytes
        return array

    def serves(self, key: Hashable, nbytes: int) -> bool:
        """Whether `get` has the array of `key`, or would keep an array of that many bytes."""
        with self._lock:
            return key in self._arrays or nbytes <= self._free_bytes


@dataclass(frozen=True)
class ImageFile:
    """An RGB image in a file, decoded at each request; raises UserError if the size differs from the header's."""

    path: Path
    size: Size
    read: Read = read_rgb_uint8

    def whole(self) -> np.ndarray:
        image = self.read(self.path)
        require_size(self.path, image, self.size)
        return image

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        return self.read(self.path, region=Region(top, left, height, width, of=self.size))


@dataclass(frozen=True)
class CachedImage:
    """`of`, an image of three channels, kept in the cache under `key`. A full cache leaves crops to `of`."""

    of: LazyImage
    key: Hashable
    cache: ArrayCache = field(repr=False)

    @property
    def size(self) -> Size:
        return self.of.size

    def whole(self) -> np.ndarray:
        return self.cache.get(self.key, self.of.whole)

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        if self.cache.serves(self.key, 3 * math.prod(self.size)):
            return self.whole()[top : top + height, left : left + width]
        return self.of.crop(top, left, height, width)


def require_size(path: Path, image: np.ndarray, size: Size) -> None:
    """Raises UserError if the decoded image does not have the size by its header."""
    if image.shape[:2] != size:
        (h, w), (height, width) = image.shape[:2], size
        raise UserError(f"{path}: decodes to {w}x{h}, its header says {width}x{height}")


@dataclass(frozen=True)
class DownscaledImage:
    """`of` downscaled by a whole number (`image.resize.shrink`); a crop reads only the pixels it depends on."""

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
            (max(start - CONTEXT, 0), min(start + length + CONTEXT, side))
            for start, length, side in zip((top, left), (height, width), self.size, strict=True)
        )
        s = self.scale
        around = shrink(self.of.crop(s * y0, s * x0, s * (y1 - y0), s * (x1 - x0)), s)
        return around[top - y0 : top - y0 + height, left - x0 : left - x0 + width]


@dataclass(frozen=True)
class MappedImage:
    """`transform` applied to the whole of `of`, keeping its height and width."""

    of: LazyImage
    transform: Callable[[np.ndarray], np.ndarray]

    @property
    def size(self) -> Size:
        return self.of.size

    def whole(self) -> np.ndarray:
        return self.transform(self.of.whole())

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        return self.whole()[top : top + height, left : left + width]
