"""An image in a record shard that is not read yet (a `LazyImage`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from input_pipeline.records.shard import Shard


@dataclass(frozen=True)
class RecordImage:
    """An image (h, w) or (h, w, c) of any type whose bytes begin at `start`."""

    shard: Shard
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> tuple[int, int]:
        """(h, w)."""
        return self.shape[0], self.shape[1]

    def crop(self, top: int, left: int, height: int, width: int) -> np.ndarray:
        """A window that lies inside the image, as a new array."""
        pixel = self.dtype.itemsize * math.prod(self.shape[2:])
        row = pixel * self.shape[1]
        columns = (pixel * left, pixel * (left + width))
        part = self.shard.window(self.start + row * top, height, row, columns)
        return part.view(self.dtype).reshape(height, width, *self.shape[2:])

    def whole(self) -> np.ndarray:
        """The whole image."""
        return self.crop(0, 0, *self.size)
