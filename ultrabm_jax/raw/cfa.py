"""Colour filter arrays, and the crops that bring each of their phases to the canonical one.

Colours are 0 red, 1 green, 2 blue. A pattern is a small (p, p) array that the mosaic repeats: p = 2 for Bayer, 6 for
X-Trans. The canonical phases are RGGB, and the X-Trans phase in which SID's packing (packing.py) reads red, green and
blue from the places that its code names. Offsets are (top, left) in pixels, each less than p.

A flip or a rotation by 90 degrees moves a mosaic to another phase of the same array, and cropping a few pixels moves it
back. Both arrays have such a crop offset for each of the eight symmetries of the square and for any patch size.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.symmetry import flip_rotate

BAYER = np.array([[0, 1], [1, 2]], np.uint8)
XTRANS = np.array(
    [
        [0, 2, 1, 2, 0, 1],
        [1, 1, 0, 1, 1, 2],
        [1, 1, 2, 1, 1, 0],
        [2, 0, 1, 0, 2, 1],
        [1, 1, 2, 1, 1, 0],
        [1, 1, 0, 1, 1, 2],
    ],
    np.uint8,
)
CANONICAL = {"bayer": BAYER, "xtrans": XTRANS}
PERIOD = {name: len(pattern) for name, pattern in CANONICAL.items()}


def cfa_of_period(period: int) -> str:
    """ "bayer" for 2, "xtrans" for 6."""
    return next(name for name, length in PERIOD.items() if length == period)


class UnknownCFA(UserError):
    """A colour filter array that is neither Bayer nor X-Trans."""


def phase_offset(pattern: np.ndarray, canonical: np.ndarray) -> tuple[int, int]:
    """The (top, left) crop after which a mosaic of `pattern` repeats `canonical`."""
    period = len(canonical)
    for top in range(period):
        for left in range(period):
            if np.array_equal(np.roll(pattern, (-top, -left), (0, 1)), canonical):
                return top, left
    raise UnknownCFA(f"the colour filter array {letters(pattern)} is not a phase of {letters(canonical)}")


def identify(pattern: np.ndarray) -> tuple[str, tuple[int, int]]:
    """("bayer" or "xtrans", crop to its canonical phase) of a pattern that may repeat within itself."""
    small = smallest_period(pattern)
    for name, canonical in CANONICAL.items():
        if small.shape == canonical.shape and np.array_equal(np.sort(small, None), np.sort(canonical, None)):
            return name, phase_offset(small, canonical)
    height, width = small.shape
    raise UnknownCFA(
        f"the {height}x{width} colour filter array {letters(small)} is neither Bayer (2x2) nor X-Trans (6x6)"
    )


def smallest_period(pattern: np.ndarray) -> np.ndarray:
    """The smallest tile, over all divisors of the sides, that the pattern repeats."""
    height, width = pattern.shape
    tiles = [(h, w) for h in range(1, height + 1) for w in range(1, width + 1) if height % h == 0 and width % w == 0]
    for h, w in sorted(tiles, key=lambda tile: tile[0] * tile[1]):
        if np.array_equal(np.tile(pattern[:h, :w], (height // h, width // w)), pattern):
            return pattern[:h, :w]
    return pattern


def letters(pattern: np.ndarray) -> str:
    """Rows of colour letters, such as "RG/GB"; cyan, magenta, yellow and white as DNG numbers them; "?" are others."""
    names = "RGBCMYW"
    return "/".join("".join(names[v] if 0 <= v < len(names) else "?" for v in row) for row in pattern)


def symmetry_offsets(pattern: np.ndarray, patch: int) -> np.ndarray:
    """(8, 2): the (top, left) of a square patch such that `flip_rotate(patch, k)` starts in the pattern's phase.

    Depends only on the patch size modulo the period; the size need not be a multiple of it.
    """
    return np.array(_symmetry_offsets(pattern.tobytes(), len(pattern), patch % len(pattern)))


@cache
def _symmetry_offsets(pattern: bytes, period: int, rest: int) -> tuple[tuple[int, int], ...]:
    tile = np.frombuffer(pattern, np.uint8).reshape(period, period)
    side = period + rest  # the smallest patch of that remainder that shows a whole period
    wide, wanted = np.tile(tile, (3, 3)), np.tile(tile, (2, 2))[:side, :side]
    found = []
    places = [(top, left) for top in range(period) for left in range(period)]
    for symmetry in range(8):
        patches = {place: wide[place[0] : place[0] + side, place[1] : place[1] + side] for place in places}
        offsets = [place for place, patch in patches.items() if np.array_equal(flip_rotate(patch, symmetry), wanted)]
        if not offsets:
            raise UnknownCFA(f"symmetry {symmetry} of the colour filter array {letters(tile)} is not one of its phases")
        found.append(offsets[0])
    return tuple(found)
