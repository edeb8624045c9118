"""Adds well-lit images of other scenes to pairs (config.data.photos): an example gets a third patch, "photo".

This is DRGN's reference set, to which its degradation is added. The images are independent of the pairs; one is drawn
for each example.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from input_pipeline.sources.base import Example, PairSource
from input_pipeline.sources.lazy_images import Size
from input_pipeline.sources.patches import PatchSampler, extract_patch
from input_pipeline.sources.synthetic import NamedImage, PhotoSource


class UnpairedImages(PhotoSource):
    """Images without a partner; an example is {"photo": (f p, f p, 3)} with f = `factor`, the scale of the pairs."""

    scale = 1

    def __init__(self, photos: Sequence[NamedImage], *, factor: int = 1, patches: PatchSampler | None = None):
        super().__init__(photos, factor=factor, patches=patches)

    def min_input_size(self, patch: int) -> int:
        return max(self.patches.window_sizes(patch))

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        whole = self._photos[i].pixels.whole()
        return whole, whole

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        window = self.patches.draw(rng, self.size(i), patch)
        return {"photo": extract_patch(self._photos[i].pixels, window, patch=patch, factor=self.factor)}

    def arrays(self, i: int) -> Example:
        height, width = (side * self.factor for side in self.size(i))
        return {"photo": self._photos[i].pixels.crop(0, 0, height, width)}


class PairsWithPhotos(PairSource):
    """Numbered as the pairs. Crops have a photo, whole images have none."""

    def __init__(self, pairs: PairSource, photos: UnpairedImages):
        self.pairs, self.photos = pairs, photos
        self.scale, self.input_kind, self.extra_names = pairs.scale, pairs.input_kind, pairs.extra_names

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, i: int) -> str:
        return self.pairs.name(i)

    def size(self, i: int) -> Size:
        return self.pairs.size(i)

    def group(self, i: int) -> str | None:
        return self.pairs.group(i)

    def draw(self, *, seed: int, step: int, slot: int, batch_size: int) -> int:
        return self.pairs.draw(seed=seed, step=step, slot=slot, batch_size=batch_size)

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
