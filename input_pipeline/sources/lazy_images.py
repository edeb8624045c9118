"""Images of a data set that are not read yet: the size is known, and a crop or the whole image can be requested.

Images in files are decoded as a whole and cached. `records.RecordImage` reads a crop directly from a shard. The other
classes derive an image from another one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.image.resize import shrink

Size = tuple[int, int]  # h, w
Read = Callable[[Path], np.ndarray]
CONTEXT = 3  # output pixels read around a crop: bicubic downscaling depends on 2 to each side, plus one to be safe


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


@dataclass(frozen=True)
class ImageFile:
    """A file that `read` decodes at first use; raises UserError if the size differs from the header's."""

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
    """`transform` applied to the whole of `of`, keeping its height and width; cached under `key`."""

    of: LazyImage
    transform: Callable[[np.ndarray], np.ndarray]
    key: Hashable
    cache: ArrayCache = field(repr=False)

    @property
    def size(self) -> Size:
        return self.of.size

    def whole(self) -> np.ndarray:
        return self.cache.get(self.key, lambda: self.transform(self.of.whole()))

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        return self.whole()[top : top + height, left : left + width]
