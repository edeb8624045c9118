"""Pairs beside photos of other scenes (config.data.photos): an example gets a third patch, "photo".

DRGN's reference set: well-lit images that its degradation is added to. They have nothing to do with the pair that
they come with; which one comes is drawn for each example.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from input_pipeline.sources.base import Example, PairSource
from input_pipeline.sources.lazy_images import Size
from input_pipeline.sources.patches import PatchSampler, cut
from input_pipeline.sources.synthetic import NamedImage


class UnpairedImages(PairSource):
    """UnpairedImages alone, each its own partner; the example of one is {"photo": (p, p, 3)}."""

    scale = 1

    def __init__(self, photos: Sequence[NamedImage], *, factor: int = 1, patches: PatchSampler | None = None):
        self.patches = PatchSampler() if patches is None else patches
        self.factor = factor  # patches are `factor` times as large as asked for, as those of references are
        self._photos = list(photos)

    def __len__(self) -> int:
        return len(self._photos)

    def name(self, i: int) -> str:
        return self._photos[i].name

    def size(self, i: int) -> Size:
        height, width = self._photos[i].pixels.size
        return height // self.factor, width // self.factor

    def min_input_size(self, patch: int) -> int:
        return max(self.patches.sides(patch))

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        whole = self._photos[i].pixels.whole()
        return whole, whole

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        window = self.patches.draw(rng, self.size(i), patch)
        return {"photo": cut(self._photos[i].pixels, window, patch=patch, factor=self.factor)}

    def arrays(self, i: int) -> Example:
        height, width = (side * self.factor for side in self.size(i))
        return {"photo": self._photos[i].pixels.crop(0, 0, height, width)}


class PairsWithPhotos(PairSource):
    """Numbered as the pairs; only crops have a photo."""

    def __init__(self, pairs: PairSource, photos: UnpairedImages):
        self.pairs, self.photos = pairs, photos
        self.scale, self.input_kind = pairs.scale, pairs.input_kind

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, i: int) -> str:
        return self.pairs.name(i)

    def size(self, i: int) -> Size:
        return self.pairs.size(i)

    def group(self, i: int) -> str | None:
        return self.pairs.group(i)

    def min_input_size(self, patch: int) -> int:
        return self.pairs.min_input_size(patch)

    def components(self) -> tuple[PairSource, ...]:
        return (*self.pairs.components(), self.photos)

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pairs.pair(i)

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        example = self.pairs.crop(i, patch=patch, rng=rng)
        return example | self.photos.crop(int(rng.integers(len(self.photos))), patch=patch, rng=rng)

    def arrays(self, i: int) -> Example:
        return self.pairs.arrays(i)

    def crop_grid_size(self, i: int) -> Size:
        return self.pairs.crop_grid_size(i)

    def values(self, i: int) -> Example:
        return self.pairs.values(i)
