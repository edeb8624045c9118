"""The numbers behind an image's charts: Y histogram, RGB density, intensity along a line.

Y is that of the protocols, 16 + (65.481 R + 128.553 G + 24.966 B)/255 of 8-bit values. Source: DRGN's Figure 6 (the
curve of Y's histogram), UltraBM's Figures 5 and 6 (difference to the reference along a segment; here a whole row, at
the middle of the region with most texture) and 7 (density of R, G and B).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ultrabm_jax.metrics.histogram import y_curve
from ultrabm_jax.metrics.images import BT601

BINS = 64
POINTS = 256  # of a profile, at most; of a wider image, means of neighbours


@dataclasses.dataclass(frozen=True)
class Curves:
    """Of one image."""

    histogram: np.ndarray  # (110,): share of the pixels at every second Y from 16 on, smoothed
    density: np.ndarray  # (3, BINS): share of the pixels, R, G and B from 0 to 255
    profile: np.ndarray  # (n,): Y along the line


def luma(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 -> Y in 16..235."""
    return 16 + image.astype(np.float32) @ np.asarray(BT601, np.float32)


def enlarged(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w, ...) at another size by nearest neighbours."""
    rows = np.arange(height) * image.shape[0] // height
    columns = np.arange(width) * image.shape[1] // width
    return image[rows][:, columns]


def curves_of(image: np.ndarray, line: int, size: tuple[int, int]) -> Curves:
    """`line` is a row of an image of `size` (height, width), which may be larger than the image."""
    row = luma(image[line * image.shape[0] // size[0]][None])
    return Curves(
        histogram=y_curve(image[None])[0, 16:236:2],
        density=np.stack([_shares(image[..., c]) for c in range(3)]),
        profile=_profile(enlarged(row, 1, size[1])[0]),
    )


def _shares(values: np.ndarray) -> np.ndarray:
    """Of uint8 values, BINS bins of equal width."""
    return np.bincount(values.ravel() // (256 // BINS), minlength=BINS) / values.size


def _profile(row: np.ndarray) -> np.ndarray:
    group = -(-len(row) // POINTS)
    starts = np.arange(0, len(row), group)
    return np.add.reduceat(row, starts) / np.diff(np.append(starts, len(row)))
