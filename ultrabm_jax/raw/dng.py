"""Writes mosaics as uncompressed DNG files, which every raw converter reads; `read_raw` returns the same samples.

Source: Adobe's DNG specification 1.4. A file holds the samples, the colour filter array, the levels, the colour of a
white surface (AsShotNeutral) and a matrix from CIE XYZ to the camera's colours. Without a matrix the camera's
primaries are assumed to be sRGB's, each scaled by `neutral`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from ultrabm_jax.errors import UserError

CFA = 32803  # photometric interpretation
D65 = 21  # EXIF's number of the illuminant
BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL = 1, 2, 3, 4, 5, 10  # TIFF types
DENOMINATOR = 1_000_000
Tag: TypeAlias = tuple[int, int, int, Any, bool]  # number, type, count, value of any type, and whether once only

# CIE XYZ (white D65) to linear sRGB, IEC 61966-2-1.
SRGB_FROM_XYZ = np.array([
    [3.2406255, -1.5372080, -0.4986286],
    [-0.9689307, 1.8757561, 0.0415175],
    [0.0557101, -0.2040211, 1.0569959],
])  # fmt: skip


def write_dng(
    path: Path,
    mosaic: np.ndarray,
    *,
    pattern: np.ndarray,
    black: float | np.ndarray,
    white: float,
    neutral: tuple[float, float, float] = (1.0, 1.0, 1.0),
    matrix: np.ndarray | None = None,
    make: str = "ultrabm_jax",
    model: str = "mosaic",
    description: str = "",
    iso: int | None = None,
    exposure: float | None = None,
    orientation: int = 1,
) -> None:
    """Writes (h, w) uint16 samples that repeat `pattern` from the top left; an existing file is refused.

    pattern      (p, p) colours as in cfa.py: 0 red, 1 green, 2 blue
    black        one level, or one for each position of a Bayer pattern; white: one level; whole numbers
    neutral      red, green and blue of a white surface; only their ratios matter
    exposure     seconds; orientation: EXIF's number, 1 is upright
    """
    import tifffile

    if mosaic.dtype != np.uint16 or mosaic.ndim != 2:
        raise UserError(f"a mosaic is uint16 (h, w), not {mosaic.dtype} {mosaic.shape}")
    if matrix is None:
        matrix = np.array(neutral)[:, None] * SRGB_FROM_XYZ
    planes = tuple(int(colour) for colour in np.unique([*pattern.ravel(), 0, 1, 2]))
    tags: list[Tag] = [
        _text(271, make),
        _text(272, model),
        (274, SHORT, 1, orientation, True),
        (33421, SHORT, 2, pattern.shape, True),
        (33422, BYTE, pattern.size, pattern.astype(np.uint8).tobytes(), True),
        (50706, BYTE, 4, (1, 4, 0, 0), True),
        (50707, BYTE, 4, (1, 1, 0, 0), True),
        _text(50708, f"{make} {model}"),
        (50710, BYTE, len(planes), planes, True),
        (50711, SHORT, 1, 1, True),  # rectangular layout
        *_black_tags(black, pattern),
        (50717, LONG, 1, _whole(white, "white"), True),
        (50721, SRATIONAL, 9, _rationals(matrix.ravel()), True),
        (50728, RATIONAL, 3, _rationals(np.array(neutral) / max(neutral)), True),
        (50778, SHORT, 1, D65, True),
    ]
    if description:
        tags.append(_text(270, description))
    if exposure is not None:
        tags.append((33434, RATIONAL, 1, _rationals(np.array([exposure])), True))
    if iso is not None:
        tags.append((34855, SHORT, 1, iso, True))
    with _new_file(path) as file:
        tifffile.imwrite(file, mosaic, photometric=CFA, extratags=sorted(tags), metadata=None, software="ultrabm_jax")


def _black_tags(black: float | np.ndarray, pattern: np.ndarray) -> list[Tag]:
    levels = np.unique(black)
    if len(levels) == 1:
        return [(50714, LONG, 1, _whole(levels[0], "black"), True)]
    black = np.asarray(black)
    if black.shape != pattern.shape or black.shape != (2, 2):
        raise UserError(f"black levels {black.shape}: give one, or one for each position of a 2x2 pattern")
    values = tuple(_whole(level, "black") for level in black.ravel())
    return [(50713, SHORT, 2, (2, 2), True), (50714, LONG, 4, values, True)]


def _whole(level: float, what: str) -> int:
    if level != round(level) or level < 0:
        raise UserError(f"the {what} level {level:g} must be a whole number, 0 or more")
    return round(level)


def _rationals(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(part) for value in values for part in (round(value * DENOMINATOR), DENOMINATOR))


def _text(tag: int, text: str) -> Tag:
    return (tag, ASCII, 0, text, True)


def _new_file(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except FileExistsError as error:
        raise UserError(f"{path} exists; move it away or write to another path") from error
