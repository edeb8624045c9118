"""Black and white levels of cameras whose files carry none, and of SID's protocol.

Source: the released code of SID (Chen et al., CVPR 2018; cchen156/Learning-to-See-in-the-Dark, train_Sony.py and
train_Fuji.py), which reads no levels from its files but subtracts and divides by these. RED's release uses SID's.
"""

from __future__ import annotations

from typing import NamedTuple


class Levels(NamedTuple):
    """Raw values of no light and of saturation."""

    black: float
    white: float


CAMERAS = {
    ("SONY", "ILCE-7SM2"): Levels(512, 16383),  # a7S II, SID's Bayer camera
    ("FUJIFILM", "X-T2"): Levels(1024, 16383),  # SID's X-Trans camera
}


def table_levels(make: str, model: str) -> Levels | None:
    """The levels of a camera by its EXIF make and model, or None if the table does not have it."""
    return CAMERAS.get((make.strip().upper(), model.strip().upper()))
