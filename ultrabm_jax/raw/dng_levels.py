"""DNG's black levels where LibRaw's four numbers per file cannot express them.

The black level of the sample (y, x) of the active area is, by the DNG specification (1.7, chapter 5),

    BlackLevel[y mod rows, x mod columns] + BlackLevelDeltaH[x] + BlackLevelDeltaV[y]

LibRaw folds patterns of up to 2x2 into one number per colour of the filter array, rounds fractions, replaces the deltas
by their mean, and does not show the rest of a larger pattern. Where the active area begins at an odd row or column, it
starts the mosaic one further and folds the pattern as if it had not. It measures the levels on MaskedAreas even if the
file states them; here that is done only if it does not.
"""

from __future__ import annotations

import math

import numpy as np

from ultrabm_jax.raw.levels import tile_to
from ultrabm_jax.raw.tags import ACTIVE_AREA, BLACK, BLACK_DELTA_H, BLACK_DELTA_V, BLACK_REPEAT, MASKED_AREAS, Tags


def dng_black(tags: Tags, *, period: int, origin: tuple[int, int], size: tuple[int, int]) -> np.ndarray | None:
    """Black levels that start at `origin` of the sensor, or None for LibRaw's: one whole number, or no tag.

    period    of the filter array; size: (h, w) of the mosaic from `origin` on
    Returns a pattern (r, q) to be repeated, or (h, w) if the levels differ by row or column. Raises ValueError if the
    tags contradict each other.
    """
    page = tags.mosaic
    if not tags.is_dng or not {BLACK, BLACK_DELTA_H, BLACK_DELTA_V} & page.keys():
        return None
    rows, columns = page.get(BLACK_REPEAT, (1, 1)) if BLACK in page else (1, 1)
    levels = np.array(page.get(BLACK, 0), np.float32).reshape(-1)
    if len(levels) != rows * columns:
        raise ValueError(f"BlackLevel has {len(levels)} values for a pattern of {rows}x{columns}")
    area_top, area_left = page.get(ACTIVE_AREA, (0, 0))[:2]
    top, left = origin[0] - area_top, origin[1] - area_left
    pattern = np.roll(levels.reshape(rows, columns), (-top, -left), (0, 1))
    by_column, by_row = (_delta(page.get(code), start, length) for code, start, length in (
        (BLACK_DELTA_H, left, size[1]), (BLACK_DELTA_V, top, size[0]),
    ))  # fmt: skip
    if by_column.any() or by_row.any():
        return tile_to(pattern, size) + by_column + by_row[:, None]
    if np.ptp(pattern) == 0 and pattern[0, 0] == np.rint(pattern[0, 0]) and MASKED_AREAS not in page:
        return None
    return _reduced(tile_to(pattern, (math.lcm(rows, period), math.lcm(columns, period))), period)


def _delta(values: object, start: int, length: int) -> np.ndarray:
    """(length,) of the deltas from `start` on; zeros without a tag."""
    if values is None:
        return np.zeros(length, np.float32)
    deltas = np.atleast_1d(np.array(values, np.float32))[start:]
    if len(deltas) < length or start < 0:
        raise ValueError(f"{len(deltas)} black level deltas for {length} rows or columns")
    return deltas[:length]


def _reduced(pattern: np.ndarray, period: int) -> np.ndarray:
    """The pattern as (period, period) if it repeats that, otherwise unchanged."""
    small = pattern[:period, :period]
    return small if np.array_equal(tile_to(small, pattern.shape), pattern) else pattern
