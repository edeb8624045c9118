"""Enhancement without learning: a gamma, histogram equalisation, and the contrast-limited adaptive one (CLAHE).

`function(low)`: low float32 (h, w, 3) in [0, 1] -> float32 of the same shape in [0, 1]; none uses a reference.

Both equalisations treat luma (BT.601) in 256 levels and add its change to every channel, which equals
changing Y of YCrCb and keeping Cr and Cb. Per channel, they would shift colours. Their tables are those of
OpenCV's equalizeHist and CLAHE to the last level; CLAHE's interpolated values are not rounded.
"""

from __future__ import annotations

import numpy as np

from ultrabm_jax.image.colour import LUMA_F32
from ultrabm_jax.image.equalisation import LEVELS, equalising_table, levels_of

TARGET_MEAN = 0.45


def gamma(low: np.ndarray, *, mean: float = TARGET_MEAN) -> np.ndarray:
    """low**g with the g that brings the mean over all pixels and channels to `mean`."""
    return low ** np.float32(mean_gamma(low, mean))


def equalised(low: np.ndarray) -> np.ndarray:
    """Histogram equalisation of luma."""
    luma, levels = _luma(low)
    return _with_luma(low, luma, equalising_table(_histogram(levels))[levels] / 255)


def clahe(low: np.ndarray, *, clip: float = 2.0, tiles: tuple[int, int] = (8, 8)) -> np.ndarray:
    """Equalisation of luma by tile (Zuiderveld 1994); see `clahe_levels`."""
    luma, levels = _luma(low)
    return _with_luma(low, luma, clahe_levels(levels, clip=clip, tiles=tiles) / 255)


def mean_gamma(low: np.ndarray, target: float) -> float:
    """g in [1/64, 64] with mean(low**g) = target, by bisection of log g: the mean falls as g grows."""
    values, counts = np.unique(low, return_counts=True)
    values, weights = values.astype(np.float64), counts / low.size
    below, above = -6.0, 6.0  # log2 g
    for _ in range(40):
        middle = (below + above) / 2
        if weights @ values**2.0**middle > target:
            below = middle
        else:
            above = middle
    return 2.0 ** ((below + above) / 2)


def clahe_levels(levels: np.ndarray, *, clip: float, tiles: tuple[int, int]) -> np.ndarray:
    """New values in [0, 255] of (h, w) 8-bit levels, each interpolated between the tables of the four nearest tiles.

    tiles: (rows, columns) of equal tiles that cover the image, mirrored at the bottom and right.
    clip: limits each count to this multiple of the mean count; the excess is spread over all levels. 0: no limit.
    """
    whole = _whole_tiles(levels, tiles)
    height, width = whole.shape[0] // tiles[0], whole.shape[1] // tiles[1]
    blocks = whole.reshape(tiles[0], height, tiles[1], width).swapaxes(1, 2).reshape(-1, height * width)
    tables = np.stack([_clahe_table(block, clip) for block in blocks]).reshape(*tiles, LEVELS)
    top, bottom, down = _neighbours(levels.shape[0], height, tiles[0])
    left, right, along = _neighbours(levels.shape[1], width, tiles[1])

    def row_of(tile: np.ndarray) -> np.ndarray:
        a, b = (tables[tile[:, None], column, levels] for column in (left, right))
        return a * (1 - along) + b * along

    return row_of(top) * (1 - down[:, None]) + row_of(bottom) * down[:, None]


def _whole_tiles(levels: np.ndarray, tiles: tuple[int, int]) -> np.ndarray:
    """As OpenCV: where one side does not divide, the other one grows as well, by a whole number of its tiles."""
    missing = [count - side % count for side, count in zip(levels.shape, tiles, strict=True)]
    if missing == list(tiles):
        return levels
    return np.pad(levels, [(0, more) for more in missing], mode="reflect")


def _clahe_table(levels: np.ndarray, clip: float) -> np.ndarray:
    """(256,) float32 new levels of the levels of one tile."""
    counts = _histogram(levels)
    if clip > 0:
        limit = max(1, int(clip * levels.size / LEVELS))
        excess = np.maximum(counts - limit, 0).sum()
        share, rest = divmod(int(excess), LEVELS)
        counts = np.minimum(counts, limit) + share
        step = max(1, LEVELS // rest) if rest else 1
        counts[: rest * step : step] += 1  # the rest, evenly spread
    scale = np.float32(255) / np.float32(levels.size)
    return np.rint(np.minimum(np.cumsum(counts).astype(np.float32) * scale, 255))


def _neighbours(side: int, tile: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel of an axis: the tiles whose centres precede and follow it, and the weight of the latter."""
    place = np.arange(side, dtype=np.float32) * (np.float32(1) / np.float32(tile)) - np.float32(0.5)
    before = np.floor(place).astype(int)
    weight = (place - before).astype(np.float32)
    return np.maximum(before, 0), np.minimum(before + 1, count - 1), weight


def _luma(low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) luma in [0, 1], and its 8-bit levels."""
    luma = low @ LUMA_F32
    return luma, levels_of(luma)


def _histogram(levels: np.ndarray) -> np.ndarray:
    return np.bincount(levels.ravel(), minlength=LEVELS)


def _with_luma(low: np.ndarray, luma: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.clip(low + (new - luma)[..., None], 0, 1)
