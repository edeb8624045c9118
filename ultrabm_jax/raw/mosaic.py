"""The samples of a camera's sensor, one colour each, with the metadata of the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrabm_jax.raw.levels import normalise


@dataclass(frozen=True, eq=False)
class Mosaic:
    """A mosaic in canonical phase: it starts with RGGB (Bayer), or as SID's X-Trans packing expects (cfa.py).

    values        (h, w) uint16 as in the file, rows and columns in the sensor's order
    cfa           "bayer" or "xtrans"
    black         (p, q) float32, repeated over the mosaic; p = q = 2 for Bayer and 6 for X-Trans, unless a DNG file
                  gives a larger pattern or (h, w)
    white         the level of saturation
    exposure      seconds; make and model are "", iso and exposure None if the file does not state them
    orientation   EXIF's number, 1 to 8: how to show the mosaic upright (1: as it is)
    crop          (top, left) cut from the visible area to reach the canonical phase
    final         rows and columns that the final image shows (DNG's default crop), or None for all
    notes         one line each on what the file lacks
    """

    values: np.ndarray
    cfa: str
    black: np.ndarray
    white: float
    make: str = ""
    model: str = ""
    iso: int | None = None
    exposure: float | None = None
    orientation: int = 1
    crop: tuple[int, int] = (0, 0)
    final: tuple[slice, slice] | None = None
    notes: tuple[str, ...] = ()

    @property
    def samples(self) -> np.ndarray:
        """(h, w) float32 in [0, 1], 0 at the black level and 1 at the white level; computed at each access."""
        return normalise(self.values, self.black, self.white)
