"""The data of an image's charts: histogram of Y, densities of R, G and B, and Y along a row.

Y is that of the protocols, 16 + (65.481 R + 128.553 G + 24.966 B)/255 of 8-bit values. The charts follow DRGN's Figure
6 (histogram of Y), UltraBM's Figures 5 and 6 (difference from the reference along a segment; here a whole row, through
the middle of the region with the strongest texture) and 7 (densities of R, G and B).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ultrabm_jax.metrics.histogram import y_curve
from ultrabm_jax.metrics.images import luma_0_219

BINS = 64
POINTS = 256  # of a profile, at most; those of a wider image are means of neighbours


@dataclasses.dataclass(frozen=True)
class Curves:
    """The curves of one image."""

    histogram: np.ndarray  # (110,): fraction of the pixels at every second Y from 16 on, smoothed
    density: np.ndarray  # (3, BINS): fraction of the pixels, for R, G and B from 0 to 255
    profile: np.ndarray  # (n,): Y along the line


def y_of(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 -> Y (h, w) float32 in 16..235, not rounded."""
    return 16 + luma_0_219(image.astype(np.float32))[..., 0]


def enlarged(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, ...) -> (height, width, ...), by nearest neighbours."""
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    return image[rows][:, columns]


def curves_of(image: np.ndarray, line: int, size: tuple[int, int]) -> Curves:
    """The curves of a uint8 image (h, w, 3); `line` is a row of an image of `size` (height, width), its enlargement."""
    row = y_of(image[line * image.shape[0] // size[0]][None])
    return Curves(
        histogram=y_curve(image[None])[0, 16:236:2],
        density=np.stack([_fractions(image[..., c]) for c in range(3)]),
        profile=_profile(enlarged(row, 1, size[1])[0]),
    )


def _fractions(values: np.ndarray) -> np.ndarray:
    """Fractions of uint8 values in BINS bins of equal width."""
    return np.bincount(values.ravel() // (256 // BINS), minlength=BINS) / values.size


def _profile(row: np.ndarray) -> np.ndarray:
    group = -(-len(row) // POINTS)
    starts = np.arange(0, len(row), group)
    return np.add.reduceat(row, starts) / np.diff(np.append(starts, len(row)))
