"""DNG's default crop: the part of the active area that the final image shows.

Cameras record a border around it so that demosaicing has neighbours everywhere (DNG specification 1.7,
DefaultCropOrigin and DefaultCropSize). So a network gets the whole active area, and its output is cropped. LibRaw
reports the crop and does not apply it; neither does SID, whose files are no DNG.
"""

from __future__ import annotations

from ultrabm_jax.raw.tags import ACTIVE_AREA, DEFAULT_CROP_ORIGIN, DEFAULT_CROP_SIZE, Tags


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
