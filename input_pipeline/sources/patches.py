"""How a training patch is taken from an image: offset, size, flip (config.data.crop_offsets, .flips, .zoom).

A patch of p pixels with zoom z shows a window of p / z pixels, resampled to p. The defaults are random offsets,
all eight flips and rotations, and no zoom. DRGN cuts its images into patches that do not overlap, flips them
horizontally and scales them: "grid", "horizontal" and several zooms. Each epoch draws one patch of an image's grid, so
in as many epochs as the grid has patches each is drawn once *on average*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from input_pipeline.sampling import random_crop_offset
from input_pipeline.sources.lazy_images import LazyImage, Size
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.symmetry import flip_rotate

FLIPS = {"d4": tuple(range(8)), "horizontal": (0, 4), "none": (0,)}  # indices of image/symmetry.py
CROP_OFFSETS = ("random", "grid")


class Window(NamedTuple):
    """A square window of an image, and the symmetry that its patch gets."""

    top: int
    left: int
    side: int
    symmetry: int


@dataclass(frozen=True)
class PatchSampler:
    """The fields of config.data that govern patches."""

    crop_offsets: str = "random"
    flips: str = "d4"
    zoom: tuple[float, ...] = (1.0,)

    def window_sizes(self, patch: int) -> tuple[int, ...]:
        """The side of the window for each zoom."""
        return tuple(max(1, round(patch / zoom)) for zoom in self.zoom)

    def draw(self, rng: np.random.Generator, size: Size, patch: int) -> Window:
        """Draws a window of an image that is at least as large as the largest window."""
        sides = self.window_sizes(patch)
        side = sides[0] if len(sides) == 1 else sides[int(rng.integers(len(sides)))]
        if self.crop_offsets == "grid":
            # The window starts at a cell of the grid; those of the last cells are shifted to lie inside the image.
            cells = (int(rng.integers(length // patch)) for length in size)
            top, left = (min(patch * cell, length - side) for cell, length in zip(cells, size, strict=True))
        else:
            top, left = random_crop_offset(rng, size, side)
        flips = FLIPS[self.flips]
        return Window(top, left, side, flips[int(rng.integers(len(flips)))] if len(flips) > 1 else flips[0])


def patch_sampler(data: ConfigDict) -> PatchSampler:
    """The sampler that config.data describes; raises UserError for unknown values."""
    for name, value, known in (("crop_offsets", data.crop_offsets, CROP_OFFSETS), ("flips", data.flips, FLIPS)):
        if value not in known:
            raise UserError(f"data.{name}={value!r} is not known; choose one of: {', '.join(known)}")
    zoom = tuple(float(value) for value in data.zoom)
    if not zoom or min(zoom) <= 0:
        raise UserError(f"data.zoom={data.zoom!r} must be enlargements above 0, such as (0.8, 1.0, 1.2)")
    return PatchSampler(data.crop_offsets, data.flips, zoom)


def extract_patch(image: LazyImage, window: Window, *, patch: int, factor: int = 1) -> np.ndarray:
    """The patch (f p, f p, c) of a window, from an image that is `factor` times as large as the window's."""
    top, left, side = (factor * value for value in window[:3])
    crop = image.crop(top, left, side, side)
    if side != factor * patch:
        crop = np.asarray(Image.fromarray(crop).resize((factor * patch,) * 2, Image.Resampling.BICUBIC))
    return flip_rotate(crop, window.symmetry)
