"""Where a training patch is cut from a mosaic so that flips and turns keep its colours in their places.

Letters: h, w the mosaic in canonical phase, p the side of the patch, symmetry 0 ... 7 an index of image/symmetry.py.

aug="preserve"  one of the eight symmetries; the corner is a multiple of the period plus `symmetry_offsets`, after
                which the turned patch starts in canonical phase again. Any side will do, also one that is no multiple
                of the period. Near the border, symmetries whose offset leaves no room are not drawn.
aug="raw"       as RED (Lamba & Mitra, CVPR 2021) does: the corner is a multiple of the period, and the mosaic is
                flipped left-right and up-down, each half of the time, whatever that does to its phase. Their released
                code flips with probabilities of about .495 and .198 (red.md, section 6).
"""

from __future__ import annotations

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.symmetry import flip_rotate
from ultrabm_jax.raw.cfa import symmetry_offsets
from ultrabm_jax.raw.mosaic import tile_to

AUGMENTATIONS = ("preserve", "raw")
FLIPS = (0, 4, 6, 2)  # symmetries: none, left-right, up-down, both


def cfa_crop_offset(
    rng: np.random.Generator, size: tuple[int, int], patch: int, pattern: np.ndarray, *, aug: str = "preserve"
) -> tuple[int, int, int]:
    """(top, left, symmetry) of a random patch; the symmetry is uniform, then the corner among those that it allows."""
    if min(size) < patch:
        raise UserError(f"a mosaic of {size[1]}x{size[0]} holds no patch of {patch}x{patch}")
    if aug not in AUGMENTATIONS:
        raise UserError(f"data.bayer_aug={aug!r} is not known; choose one of: {', '.join(AUGMENTATIONS)}")
    room = np.array(size) - patch
    if aug == "raw":
        symmetry, offset = int(rng.choice(FLIPS)), np.zeros(2, int)
    else:
        offsets = symmetry_offsets(pattern, patch)
        symmetry = int(rng.choice(np.flatnonzero((offsets <= room).all(axis=1))))
        offset = offsets[symmetry]
    period = len(pattern)
    top, left = (int(o + period * rng.integers((r - o) // period + 1)) for o, r in zip(offset, room, strict=True))
    return top, left, symmetry


def cut_black(black: np.ndarray, *, top: int, left: int, patch: int, symmetry: int) -> np.ndarray:
    """The black level of each position of the turned patch: (k, k) -> (k, k). Turns exchange the two greens."""
    period = len(black)
    side = period + patch % period
    wide = tile_to(black, (side + period, side + period))
    y, x = top % period, left % period
    turned = flip_rotate(wide[y : y + side, x : x + side], symmetry)
    return np.ascontiguousarray(turned[:period, :period])
