"""Crop offsets in a mosaic, chosen so that flipped and rotated patches keep the phase of the filter array.

Letters: h, w the mosaic in canonical phase, p the side of the patch, symmetry = 0 ... 7 as in image/symmetry.py.

aug="preserve"  one of the eight symmetries of the square; the crop offset is a multiple of the period plus
                `symmetry_offsets`, so that the transformed patch starts in canonical phase. Any patch size is possible,
                multiple of the period or not. Symmetries whose offset does not fit into the mosaic are not drawn.
aug="flips"     as "preserve" with the identity, the two flips and both together: no transpose (RED's section 4.1)
aug="raw"       as RED (Lamba & Mitra, CVPR 2021): the crop offset is a multiple of the period, and the mosaic is
                flipped left-right and up-down, each with probability 1/2, which changes its phase. Deviation: the
                released code flips with probabilities of about .495 and .198.
"""

from __future__ import annotations

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.symmetry import flip_rotate
from ultrabm_jax.raw.cfa import symmetry_offsets
from ultrabm_jax.raw.levels import tile_to

AUGMENTATIONS = ("preserve", "flips", "raw")
FLIPS = (0, 4, 6, 2)  # symmetries: identity, left-right, up-down, both


def draw_crop(
    rng: np.random.Generator, size: tuple[int, int], patch: int, pattern: np.ndarray, *, aug: str = "preserve"
) -> tuple[int, int, int]:
    """(top, left, symmetry) of a random patch: a uniform symmetry, then a uniform offset among those that it allows."""
    if min(size) < patch:
        raise UserError(f"a mosaic of {size[1]}x{size[0]} holds no patch of {patch}x{patch}")
    if aug not in AUGMENTATIONS:
        raise UserError(f"data.bayer_aug={aug!r} is not known; choose one of: {', '.join(AUGMENTATIONS)}")
    largest = np.array(size) - patch
    if aug == "raw":
        symmetry, phase = int(rng.choice(FLIPS)), np.zeros(2, int)
    else:
        offsets = symmetry_offsets(pattern, patch)
        fitting = np.flatnonzero((offsets <= largest).all(axis=1))
        symmetry = int(rng.choice(fitting if aug == "preserve" else np.intersect1d(fitting, FLIPS)))
        phase = offsets[symmetry]
    period = len(pattern)
    top, left = (
        int(start + period * rng.integers((end - start) // period + 1))
        for start, end in zip(phase, largest, strict=True)
    )
    return top, left, symmetry


def crop_black(black: np.ndarray, *, top: int, left: int, patch: int, symmetry: int) -> np.ndarray:
    """Black levels (k, k) of a patch after its symmetry, which may swap the two greens."""
    period = len(black)
    side = period + patch % period
    wide = tile_to(black, (side + period, side + period))
    y, x = top % period, left % period
    transformed = flip_rotate(wide[y : y + side, x : x + side], symmetry)
    return np.ascontiguousarray(transformed[:period, :period])
