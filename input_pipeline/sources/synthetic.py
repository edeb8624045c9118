"""Pairs with synthetic darkness: a well-lit image is the reference, and `low` is computed by image/darkness.py.

Each training crop gets newly drawn darkness. The darkness of a whole image is fixed, drawn from (darkness.seed, name),
so every evaluation uses the same images.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ml_collections import ConfigDict

from input_pipeline.sampling import image_rng
from input_pipeline.sources.base import Example, PairSource
from input_pipeline.sources.lazy_images import LazyImage, Size
from input_pipeline.sources.patches import PatchSampler, extract_patch
from ultrabm_jax.image.darkness import check_darkness, darken, draw_darkness


@dataclass(frozen=True)
class NamedImage:
    """An image that is not read yet."""

    name: str
    pixels: LazyImage


class PhotoSource(PairSource):
    """Base class of examples made from numbered photos; sizes are those of the photos divided by `factor`."""

    def __init__(self, photos: Sequence[NamedImage], *, factor: int, patches: PatchSampler | None):
        self.patches = PatchSampler() if patches is None else patches
        self.factor = factor
        self._photos = list(photos)

    def __len__(self) -> int:
        return len(self._photos)

    def name(self, i: int) -> str:
        return self._photos[i].name

    def size(self, i: int) -> Size:
        height, width = self._photos[i].pixels.size
        return height // self.factor, width // self.factor


class SyntheticPairs(PhotoSource):
    """`options` is config.data.darkness."""

    def __init__(
        self, photos: Sequence[NamedImage], *, scale: int, options: ConfigDict, patches: PatchSampler | None = None
    ):
        check_darkness(options)
        super().__init__(photos, factor=scale, patches=patches)
        self.scale = scale
        self.options = copy.deepcopy(options)  # later changes of the config must not change the images

    def group(self, i: int) -> str:
        """The exposure of the whole image in EV, rounded to half a stop."""
        ev = float(draw_darkness(self.options, self._fixed_rng(i)).ev)
        return f"{round(ev * 2) / 2:.1f}"

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        height, width = (side * self.scale for side in self.size(i))
        reference = self._photos[i].pixels.crop(0, 0, height, width)
        return self._darken(reference, self._fixed_rng(i)), reference

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        pixels, side = self._photos[i].pixels, patch * self.scale
        reference = extract_patch(pixels, self.patches.draw(rng, pixels.size, side), patch=side)
        return {"low": self._darken(reference, rng), "reference": reference}

    def min_input_size(self, patch: int) -> int:
        return -(-max(self.patches.window_sizes(patch * self.scale)) // self.scale)

    def arrays(self, i: int) -> Example:
        return {"reference": self._photos[i].pixels.whole()}

    def crop_grid_size(self, i: int) -> Size:
        return self._photos[i].pixels.size

    def _fixed_rng(self, i: int) -> np.random.Generator:
        return image_rng(self.options.seed, self.name(i))

    def _darken(self, reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        darkness = draw_darkness(self.options, rng)
        return darken(reference, darkness, scale=self.scale, bits=self.options.bits, rng=rng)
