"""Clean photographs as a source of pairs: the photograph is the reference, `low` is made by darkness.py.

A training crop gets new darkness each time. Whole pictures have fixed darkness, drawn from (darkness.seed, name), so
an evaluation always sees the same.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from input_pipeline.cache import ArrayCache
from input_pipeline.darkness import check_darkness, darken, draw_darkness
from input_pipeline.images import read_rgb_uint8
from input_pipeline.sampling import crop_corner, flip_rotate, picture_rng
from input_pipeline.source import PairSource, Size


@dataclass(frozen=True)
class Photo:
    """A photograph; `size` is (h, w) of the file."""

    name: str
    path: Path
    size: Size


class DarkenedPhotos(PairSource):
    """`options` is config.data.darkness."""

    def __init__(self, photos: Sequence[Photo], *, scale: int, options: Any, cache: ArrayCache):
        check_darkness(options)
        self.scale = scale
        self._photos = list(photos)
        self._options = copy.deepcopy(options)  # a config that changes later must not change the pictures
        self._cache = cache

    def __len__(self) -> int:
        return len(self._photos)

    def name(self, i: int) -> str:
        return self._photos[i].name

    def size(self, i: int) -> Size:
        height, width = self._photos[i].size
        return height // self.scale, width // self.scale

    def group(self, i: int) -> str:
        """The exposure of the whole picture to the nearest half stop."""
        ev = draw_darkness(self._options, self._fixed_rng(i)).ev
        return f"{round(ev * 2) / 2:.1f}"

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        height, width = (side * self.scale for side in self.size(i))
        reference = self._reference(i)[:height, :width]
        return self._darken(reference, self._fixed_rng(i)), reference

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        photo, side = self._reference(i), patch * self.scale
        top, left = crop_corner(rng, photo.shape[:2], side)
        reference = flip_rotate(photo[top : top + side, left : left + side], int(rng.integers(8)))
        return self._darken(reference, rng), reference

    def _reference(self, i: int) -> np.ndarray:
        path = self._photos[i].path
        return self._cache.get(path, lambda: read_rgb_uint8(path))

    def _fixed_rng(self, i: int) -> np.random.Generator:
        return picture_rng(self._options.seed, self.name(i))

    def _darken(self, reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        darkness = draw_darkness(self._options, rng)
        return darken(reference, darkness, scale=self.scale, bits=self._options.bits, rng=rng)
