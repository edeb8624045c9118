"""Flips and rotations: the eight symmetries of the square (the dihedral group D4), by index.

0 to 3 are counter-clockwise rotations by 0, 90, 180 and 270 degrees; 4 to 7 are the same rotations followed by a
left-right flip. `symmetry` always means such an index.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from ultrabm_jax.typing import ArrayT

# Each symmetry as (transpose, then reverse the rows, then reverse the columns).
SYMMETRIES = ((0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1), (0, 0, 1), (1, 1, 1), (0, 1, 0), (1, 0, 0))

# The symmetry that turns the stored rows and columns upright, by the value of EXIF's Orientation tag (EXIF 2.32).
FROM_EXIF = {1: 0, 2: 4, 3: 2, 4: 6, 5: 7, 6: 3, 7: 5, 8: 1}


def flip_rotate(image: ArrayT, symmetry: int) -> ArrayT:
    """Applies one symmetry to (h, w, ...); a view where the array type has views."""
    transpose, rows, columns = SYMMETRIES[symmetry]
    if transpose:
        image = image.swapaxes(0, 1)
    return image[:: -1 if rows else 1, :: -1 if columns else 1]


def flip_rotate_each(images: ArrayT, symmetries: ArrayT, *, xp: ModuleType = np) -> ArrayT:
    """Applies to each square image of (b, p, p, c) its own symmetry, (b,) integers.

    xp: `numpy` or `jax.numpy`; with the latter the symmetries may be traced.
    """
    transpose, rows, columns = xp.asarray(SYMMETRIES, bool)[symmetries].T[..., None, None, None]
    images = xp.where(transpose, images.swapaxes(1, 2), images)
    images = xp.where(rows, images[:, ::-1], images)
    return xp.where(columns, images[:, :, ::-1], images)


def inverse(symmetry: int) -> int:
    """The index of the symmetry that undoes `symmetry`: flips undo themselves, rotations turn back."""
    return symmetry if symmetry >= 4 else -symmetry % 4


def swaps_sides(symmetry: int) -> bool:
    """Whether the symmetry exchanges height and width."""
    return bool(SYMMETRIES[symmetry][0])
