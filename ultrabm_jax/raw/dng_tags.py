"""What DNG's tags say about a mosaic and LibRaw does not give: the exact black levels and the default crop.

The black level of the sample (y, x) of the active area is, by the DNG specification (1.7, chapter 5),

    BlackLevel[y mod rows, x mod columns] + BlackLevelDeltaH[x] + BlackLevelDeltaV[y]

LibRaw folds patterns of up to 2x2 into one number per colour of the filter array, rounds fractions, replaces the deltas
by their mean, and does not show the rest of a larger pattern. Where the active area begins at an odd row or column, it
starts the mosaic one further and folds the pattern as if it had not. It measures the levels on MaskedAreas even if the
file states them; here that is done only if it does not.

The default crop is the part of the active area that the final image shows. Cameras record a border around it so that
demosaicing has neighbours everywhere (DefaultCropOrigin and DefaultCropSize). So a network gets the whole active area,
and its output is cropped. LibRaw reports the crop and does not apply it; neither does SID, whose files are no DNG.
"""

from __future__ import annotations

import math

import numpy as np

from ultrabm_jax.raw.levels import tile_to
from ultrabm_jax.raw.tags import (
    ACTIVE_AREA,
    BLACK,
    BLACK_DELTA_H,
    BLACK_DELTA_V,
    BLACK_REPEAT,
    DEFAULT_CROP_ORIGIN,
    DEFAULT_CROP_SIZE,
    MASKED_AREAS,
    Tags,
)


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


def default_crop(
    tags: Tags, *, origin: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[slice, slice] | None, tuple[str, ...]]:
    """(rows and columns of a mosaic (h, w) = `size` that the final image shows, or None for all of them; notes).

    origin: of the mosaic on the sensor. A crop that is not inside the active area is ignored.
    """
    try:
        return _default_crop(tags, origin, size), ()
    except (ValueError, OverflowError, TypeError):
        return None, ("its default crop (DefaultCropOrigin, DefaultCropSize) is not inside the active area; ignored",)


def _default_crop(tags: Tags, origin: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice] | None:
    """The tags count columns first, and may be fractions, which are rounded."""
    page = tags.mosaic
    if not tags.is_dng or DEFAULT_CROP_SIZE not in page:
        return None
    left, top = (round(value) for value in page.get(DEFAULT_CROP_ORIGIN, (0, 0)))
    width, height = (round(value) for value in page[DEFAULT_CROP_SIZE])
    area_top, area_left = page.get(ACTIVE_AREA, (0, 0))[:2]
    # Rows and columns of the active area before the mosaic: LibRaw and the canonical phase may cut some.
    above, before = origin[0] - area_top, origin[1] - area_left
    outside = top + height > above + size[0] or left + width > before + size[1]
    if outside or min(left, top) < 0 or min(width, height) < 1:
        raise ValueError("outside the active area")
    rows = slice(max(top - above, 0), top + height - above)
    columns = slice(max(left - before, 0), left + width - before)
    whole = (rows.start, rows.stop, columns.start, columns.stop) == (0, size[0], 0, size[1])
    return None if whole else (rows, columns)
