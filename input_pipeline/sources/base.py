"""A data set as the loaders and the evaluation see it: numbered pairs, whole or cropped, as they are stored.

    low        (h, w, c)        what the network gets
    reference  (s*h, s*w, 3)    what it should give

uint8 RGB, or for camera raw a uint16 mosaic with c = 1. Other arrays of an example (a histogram-equalised `low`, the
levels of a raw file) go under their own names. Sources are deterministic: `pair(i)` is always the same, `crop` depends
on the generator it is handed and on nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from input_pipeline.files.listing import MAX_LISTED
from input_pipeline.sources.lazy_images import LazyImage, Size
from input_pipeline.sources.patches import PatchSampler, extract_patches
from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import InputKind

Example = dict[str, np.ndarray]


class PairSource(ABC):
    """Numbered pairs of one split of a data set at one scale."""

    scale: int
    input_kind: InputKind = "rgb"  # of `low`

    @abstractmethod
    def __len__(self) -> int:
        """How many pairs."""

    @abstractmethod
    def name(self, i: int) -> str:
        """A unique name for reports and file names; may contain '/'."""

    @abstractmethod
    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Whole images: low (h, w, c), reference (s*h, s*w, 3)."""

    @abstractmethod
    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> Example:
        """A random patch, flipped or turned: low (p, p, c), reference (s*p, s*p, 3), ..."""

    @abstractmethod
    def size(self, i: int) -> Size:
        """(h, w) of `low`, without decoding."""

    @abstractmethod
    def arrays(self, i: int) -> Example:
        """The whole images (h, w, c) of a pair that the in-memory loader keeps."""

    def min_input_size(self, patch: int) -> int:
        """The side that `low` must have for patches of this side."""
        return patch

    def components(self) -> tuple[PairSource, ...]:
        """The sources that each give a part of an example; more than one if their images are not of one number."""
        return (self,)

    def values(self, i: int) -> Example:
        """What belongs to a pair besides images, such as the levels of a raw file."""
        return {}

    def crop_grid_size(self, i: int) -> Size:
        """(h, w) of the grid on which the in-memory loader places its crops."""
        return self.size(i)

    def group(self, i: int) -> str | None:
        """The exposure level in EV, such as "-5.0", or None where the data set has none."""
        return None


@dataclass(frozen=True)
class ImagePair:
    """A pair that fits together; `extra` are further arrays of the size of `low`, by name."""

    name: str
    low: LazyImage
    reference: LazyImage
    group: str | None = None
    extra: Mapping[str, LazyImage] = field(default_factory=dict)


class Pairs(PairSource):
    """Real pairs, in files or in records."""

    def __init__(self, pairs: Sequence[ImagePair], *, scale: int, patches: PatchSampler | None = None):
        self.scale = scale
        self.patches = PatchSampler() if patches is None else patches
        self._pairs = list(pairs)

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
        parts = {"low": (pair.low, 1), "reference": (pair.reference, self.scale)}
        parts |= {name: (pixels, 1) for name, pixels in pair.extra.items()}
        return extract_patches(parts, window, patch=patch)

    def min_input_size(self, patch: int) -> int:
        return max(self.patches.sides(patch))

    def arrays(self, i: int) -> Example:
        low, reference = self.pair(i)
        return {"low": low, "reference": reference} | {n: p.whole() for n, p in self._pairs[i].extra.items()}


def fit_sizes(low: Size, reference: Size, *, scale: int, downscale: str) -> tuple[Size, bool]:
    """(size of `low` as used, whether it is first shrunk by the scale); `UserError` if the pair does not fit."""
    if reference == (low[0] * scale, low[1] * scale):
        return low, False
    size = (low[0] // scale, low[1] // scale)
    if reference == low and downscale == "auto" and min(size) > 0:
        return size, True
    message = f"low is {low[1]}x{low[0]}, reference {reference[1]}x{reference[0]}, but scale {scale} needs reference ="
    message += f" {scale} x low"
    if reference == low and downscale != "auto":
        message += " (data.downscale=auto would shrink low)"
    elif downscale == "auto":
        message += " or equal sizes"
    raise UserError(message)


def too_small(source: PairSource, patch: int) -> list[str]:
    """The images that hold no patch, each with its size and the size it would need."""
    return [
        f"{part.name(i)} is {part.size(i)[1]}x{part.size(i)[0]}"
        for part in source.components()
        for i in range(len(part))
        if min(part.size(i)) < part.min_input_size(patch)
    ]


def require_patch(source: PairSource, patch: int) -> None:
    """Stops before the first step rather than at the first small image."""
    small = too_small(source, patch)
    side = source.min_input_size(patch)
    if small:
        rest = f" and {len(small) - MAX_LISTED} more" if len(small) > MAX_LISTED else ""
        raise UserError(
            f"{len(small)} of {len(source)} low-resolution images are smaller than the {side}x{side} patch: "
            f"{', '.join(small[:MAX_LISTED])}{rest}; use a smaller data.patch_size or leave them out"
        )
