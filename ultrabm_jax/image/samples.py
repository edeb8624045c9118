"""Decoded samples as the file stores them, before they become values in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ultrabm_jax.image.symmetry import flip_rotate


class Region(NamedTuple):
    """A rectangle of an upright image of the size `of` (h, w), in which it lies."""

    top: int
    left: int
    height: int
    width: int
    of: tuple[int, int]


@dataclass(frozen=True)
class Samples:
    """Integer samples in 0 ... peak."""

    colour: np.ndarray  # (h, w, 1) gray or (h, w, 3) RGB, uint8 or uint16
    alpha: np.ndarray | None  # (h, w), of the same type
    peak: int  # the value of white, and of opaque
    gray: bool  # by the format
    notes: tuple[str, ...] = ()

    @property
    def bits(self) -> int:
        """Bits that hold `peak`, at least 8."""
        return max(8, self.peak.bit_length())

    def turned(self, symmetry: int) -> Samples:
        """The samples flipped and rotated (image/symmetry.py)."""
        alpha = None if self.alpha is None else flip_rotate(self.alpha, symmetry)
        return replace(self, colour=flip_rotate(self.colour, symmetry), alpha=alpha)

    def cropped(self, region: Region) -> Samples:
        """The samples of a region."""
        window = np.s_[region.top : region.top + region.height, region.left : region.left + region.width]
        return replace(self, colour=self.colour[window], alpha=None if self.alpha is None else self.alpha[window])


def split(values: np.ndarray, *, peak: int) -> Samples:
    """(h, w) or (h, w, 1|2|3|4): gray, gray and alpha, RGB, or RGB and alpha."""
    values = values[..., None] if values.ndim == 2 else values
    channels = values.shape[-1]
    alpha = values[..., -1] if channels in (2, 4) else None
    colour = values if alpha is None else values[..., :-1]
    return Samples(colour, alpha, peak=peak, gray=channels < 3)


def unpremultiplied(colour: np.ndarray, alpha: np.ndarray, peak: int) -> np.ndarray:
    """Colours of (h, w, c) samples that were multiplied by alpha / peak; black where nothing is visible."""
    wide = colour.astype(np.float64) * peak / np.maximum(alpha, 1)[..., None]
    return np.rint(np.minimum(wide, peak)).astype(colour.dtype)
