"""A data set as the loaders and the evaluation see it: numbered pairs, whole or cropped, always uint8 RGB.

    low        (h, w, 3)        what the network gets
    reference  (s*h, s*w, 3)    what it should give

Both kinds of source, files in pairs (here) and darkened photographs (darkened.py), are deterministic: `pair(i)` is
always the same, `crop` depends on the generator it is handed and on nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from input_pipeline.cache import ArrayCache
from input_pipeline.images import read_rgb_uint8
from input_pipeline.listing import SHOWN, Pair
from input_pipeline.sampling import crop_corner, flip_rotate
from ultrabm_jax.errors import UserError

Size = tuple[int, int]  # h, w


class PairSource(ABC):
    """Numbered pairs of one split of a data set at one scale."""

    scale: int

    @abstractmethod
    def __len__(self) -> int:
        """How many pairs."""

    @abstractmethod
    def name(self, i: int) -> str:
        """A unique name for reports and file names; may contain '/'."""

    @abstractmethod
    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Whole pictures: low (h, w, 3), reference (s*h, s*w, 3)."""

    @abstractmethod
    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A random patch, flipped or turned in one of eight ways: low (p, p, 3), reference (s*p, s*p, 3)."""

    def size(self, i: int) -> Size:
        """(h, w) of `low`; the sources here know it without decoding."""
        height, width, _ = self.pair(i)[0].shape
        return height, width

    def group(self, i: int) -> str | None:
        """The exposure level in EV, such as "-5.0", or None where the data set has none."""
        return None


@dataclass(frozen=True)
class SizedPair:
    """A pair of files that fit together. `size` is that of `low` as used; `shrink`: low is first scaled down."""

    pair: Pair
    size: Size
    shrink: bool


class FilePairs(PairSource):
    """Real pairs. Pictures of equal size (LOL) lose resolution in `low`: antialiased bicubic, on uint8."""

    def __init__(self, pairs: Sequence[SizedPair], *, scale: int, cache: ArrayCache):
        self.scale = scale
        self._pairs = list(pairs)
        self._cache = cache

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, i: int) -> str:
        return self._pairs[i].pair.name

    def group(self, i: int) -> str | None:
        return self._pairs[i].pair.group

    def size(self, i: int) -> Size:
        return self._pairs[i].size

    def pair(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        sized = self._pairs[i]
        height, width = (side * self.scale for side in sized.size)
        low = self._cache.get((sized.pair.low, sized.shrink), lambda: self._read_low(sized))
        reference = self._cache.get(sized.pair.reference, lambda: read_rgb_uint8(sized.pair.reference))
        reference = reference[:height, :width]
        if low.shape[:2] != sized.size or reference.shape[:2] != (height, width):
            raise UserError(f"{sized.pair.low} or {sized.pair.reference}: the size differs from the file's header")
        return low, reference

    def crop(self, i: int, *, patch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        low, reference = self.pair(i)
        top, left = crop_corner(rng, low.shape[:2], patch)
        which = int(rng.integers(8))
        s, p = self.scale, patch
        low = low[top : top + p, left : left + p]
        reference = reference[s * top : s * (top + p), s * left : s * (left + p)]
        return flip_rotate(low, which), flip_rotate(reference, which)

    def _read_low(self, sized: SizedPair) -> np.ndarray:
        low = read_rgb_uint8(sized.pair.low)
        return shrink(low, self.scale) if sized.shrink else low


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


def shrink(image: np.ndarray, scale: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (h // s, w // s, 3); right and bottom are cropped to a multiple of s first."""
    height, width = image.shape[0] // scale, image.shape[1] // scale
    whole = Image.fromarray(image[: height * scale, : width * scale])
    return np.array(whole.resize((width, height), Image.Resampling.BICUBIC))


def too_small(source: PairSource, patch: int) -> list[str]:
    """The pictures that hold no patch, each with its size and the size it would need."""
    return [
        f"{source.name(i)} is {source.size(i)[1]}x{source.size(i)[0]}"
        for i in range(len(source))
        if min(source.size(i)) < patch
    ]


def require_patch(source: PairSource, patch: int) -> None:
    """Stops before the first step rather than at the first small picture."""
    small = too_small(source, patch)
    if small:
        rest = f" and {len(small) - SHOWN} more" if len(small) > SHOWN else ""
        raise UserError(
            f"{len(small)} of {len(source)} low-resolution pictures are smaller than the {patch}x{patch} patch: "
            f"{', '.join(small[:SHOWN])}{rest}; use a smaller data.patch_size or leave them out"
        )
