"""Black and white levels: the raw values of no light and of saturation.

    normalise(values, black, white) = min(max(values - black, 0) / (white - black), 1)

SID and RED do the same with fixed levels per camera: their code reads none from the files but subtracts and divides by
`CAMERA_LEVELS` (Chen et al., CVPR 2018; cchen156/Learning-to-See-in-the-Dark, train_Sony.py and train_Fuji.py). Their
white level is the largest value of 14 bits, so the minimum with 1 has no effect there.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import ArrayT


class Levels(NamedTuple):
    """Raw values of no light and of saturation; None keeps the file's level."""

    black: float | None
    white: float | None


SOURCES = ("file", "table")  # of levels, other than numbers
CAMERA_LEVELS: dict[tuple[str, str], tuple[float, float]] = {
    ("SONY", "ILCE-7SM2"): (512, 16383),  # a7S II, SID's Bayer camera
    ("FUJIFILM", "X-T2"): (1024, 16383),  # SID's X-Trans camera
}


def camera_levels(make: str, model: str) -> Levels | None:
    """The levels of a camera by its EXIF make and model, or None if the table does not have it."""
    found = CAMERA_LEVELS.get((make.strip().upper(), model.strip().upper()))
    return None if found is None else Levels(*found)


def parse_levels(text: str) -> str | Levels:
    """The flag `--levels`: "file", "table" or BLACK,WHITE. Raises UserError for anything else."""
    if text in SOURCES:
        return text
    try:
        black, white = (float(number) for number in text.split(","))
    except ValueError:
        raise UserError(f"--levels takes file, table or BLACK,WHITE such as 512,16383, not {text!r}") from None
    if not 0 <= black < white < np.inf:
        raise UserError(f"--levels {text}: black must be 0 or more, and white above black")
    return Levels(black, white)


def normalise(values: ArrayT, black: ArrayT, white: ArrayT | float, *, xp: ModuleType = np) -> ArrayT:
    """Raw values (..., h, w) as float32 in [0, 1], 0 at the black level and 1 at the white level.

    `black` (..., p, q) is repeated over the mosaic; `white` is (...) or one number. xp: `numpy` or `jax.numpy`.
    """
    black = tile_to(xp.asarray(black, xp.float32), values.shape[-2:], xp=xp)
    white = xp.asarray(white, xp.float32)[..., None, None]
    return xp.minimum(xp.maximum(values.astype(xp.float32) - black, 0) / (white - black), xp.float32(1))


def tile_to(tile: ArrayT, size: tuple[int, ...], *, xp: ModuleType = np) -> ArrayT:
    """(..., p, q) repeated to (..., h, w). xp: `numpy` or `jax.numpy`."""
    height, width = size
    *batch, rows, columns = tile.shape
    repeats = (*(1 for _ in batch), -(-height // rows), -(-width // columns))
    return xp.tile(tile, repeats)[..., :height, :width]


def are_valid(black: np.ndarray, white: float) -> bool:
    """Whether black levels are not negative and below the white level."""
    return bool((black >= 0).all() and white > black.max())
