"""Real pairs of a low-light image and its reference, from files or from records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from input_pipeline.sources.base import Example, PairSource
from input_pipeline.sources.lazy_images import LazyImage, Size
from input_pipeline.sources.patches import PatchSampler, extract_patch
from ultrabm_jax.errors import UserError


@dataclass(frozen=True)
class ImagePair:
    """A pair whose sizes match; `extra` holds further inputs of the size of `low`, by name."""

    name: str
    low: LazyImage
    reference: LazyImage
    group: str | None = None
    extra: Mapping[str, LazyImage] = field(default_factory=dict)


class Pairs(PairSource):
    """Pairs of 8-bit images."""

    def __init__(self, pairs: Sequence[ImagePair], *, scale: int, patches: PatchSampler | None = None):
        self.scale = scale
        self.patches = PatchSampler() if patches is None else patches
        self._pairs = list(pairs)
        self.extra_names = tuple(self._pairs[0].extra) if self._pairs else ()

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, i: int) -> str:
        return self._pairs[i].name

    def group(self, i: int) -> str | None:
        return self._pairs[i].group

    def size(self, i: int) -> Size:
        return self._pairs[i].low.size

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        height, width = (side * self.scale for side in self.size(i))
        return self._pairs[i].low.whole(), self._pairs[i].reference.crop(0, 0, height, width)

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        pair = self._pairs[i]
        window = self.patches.draw(rng, pair.low.size, patch)
        extra = {name: extract_patch(image, window, patch=patch) for name, image in pair.extra.items()}
        return {
            "low": extract_patch(pair.low, window, patch=patch),
            "reference": extract_patch(pair.reference, window, patch=patch, factor=self.scale),
        } | extra

    def min_input_size(self, patch: int) -> int:
        return max(self.patches.window_sizes(patch))

    def arrays(self, i: int) -> Example:
        low, reference = self.pair(i)
        extra = {name: image.whole() for name, image in self._pairs[i].extra.items()}
        return {"low": low, "reference": reference} | extra


def fit_sizes(low: Size, reference: Size, *, scale: int, downscale: str) -> tuple[Size, bool]:
    """Returns the size of `low` as used, and whether `low` is first downscaled; raises UserError on a mismatch."""
    if reference == (low[0] * scale, low[1] * scale):
        return low, False
    size = (low[0] // scale, low[1] // scale)
    if reference == low and downscale == "auto" and min(size) > 0:
        return size, True
    message = f"low is {low[1]}x{low[0]}, reference {reference[1]}x{reference[0]}, but scale {scale} needs reference ="
    message += f" {scale} x low"
    if reference == low and downscale != "auto":
        message += " (a model of scale 1 keeps the size: configs/pairs_x1.py; data.downscale=auto would shrink low)"
    elif downscale == "auto":
        message += " or equal sizes"
    raise UserError(message)
