"""SID's packing of mosaics into channels, and back (Chen et al., CVPR 2018, "Learning to See in the Dark").

    Bayer RGGB   (..., h, w) -> (..., h/2, w/2, 4)   R (0,0), G (0,1), B (1,1), G (1,0) of each 2x2 block
    X-Trans      (..., h, w) -> (..., h/3, w/3, 9)   at canonical phase; each 6x6 cell gives 2x2 packed pixels

Channels of X-Trans by the place in the cell, in the order of the packed pixels (0,0), (0,1), (1,0), (1,1):

    0 R (0,0) (0,4) (3,1) (3,3)     1 G (0,2) (0,5) (3,2) (3,5)     2 B (0,1) (0,3) (3,0) (3,4)
    3 R (1,2) (2,5) (5,2) (4,5)     4 B (2,2) (1,5) (4,2) (5,5)
    5 to 8 G: rows 1::3, 1::3, 2::3, 2::3 and columns 0::3, 1::3, 0::3, 1::3

Each sample appears once: packing is a permutation. Sizes that are not multiples of the period are refused; SID
crops them. All functions work on NumPy and on JAX arrays.
"""

from __future__ import annotations

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import ArrayT

BAYER_PLACES = ((0, 0), (0, 1), (1, 1), (1, 0))
XTRANS_PLACES = (
    ((0, 0), (0, 4), (3, 1), (3, 3)),
    ((0, 2), (0, 5), (3, 2), (3, 5)),
    ((0, 1), (0, 3), (3, 0), (3, 4)),
    ((1, 2), (2, 5), (5, 2), (4, 5)),
    ((2, 2), (1, 5), (4, 2), (5, 5)),
    ((1, 0), (1, 3), (4, 0), (4, 3)),
    ((1, 1), (1, 4), (4, 1), (4, 4)),
    ((2, 0), (2, 3), (5, 0), (5, 3)),
    ((2, 1), (2, 4), (5, 1), (5, 4)),
)  # channel -> (row, column) for the packed pixels (0,0), (0,1), (1,0), (1,1)

# The place in a flattened cell of each packed element (dy, dx, channel), and the inverse.
_BAYER_FROM = np.array([y * 2 + x for y, x in BAYER_PLACES])
_XTRANS_FROM = np.array([[y * 6 + x for y, x in places] for places in XTRANS_PLACES]).T.reshape(-1)
_BAYER_BACK, _XTRANS_BACK = np.argsort(_BAYER_FROM), np.argsort(_XTRANS_FROM)


def pack_bayer(mosaic: ArrayT) -> ArrayT:
    """(..., h, w) RGGB -> (..., h/2, w/2, 4)."""
    return _cells(mosaic, 2)[..., _BAYER_FROM]


def unpack_bayer(packed: ArrayT) -> ArrayT:
    """(..., h/2, w/2, 4) -> (..., h, w)."""
    return _mosaic(packed[..., _BAYER_BACK], 2)


def pack_xtrans(mosaic: ArrayT) -> ArrayT:
    """(..., h, w) X-Trans in canonical phase -> (..., h/3, w/3, 9)."""
    cells = _cells(mosaic, 6)[..., _XTRANS_FROM]
    *batch, rows, columns, _ = cells.shape
    grid = cells.reshape(*batch, rows, columns, 2, 2, 9)
    return _swap(grid).reshape(*batch, 2 * rows, 2 * columns, 9)


def unpack_xtrans(packed: ArrayT) -> ArrayT:
    """(..., h/3, w/3, 9) -> (..., h, w)."""
    *batch, rows, columns, _ = packed.shape
    grid = packed.reshape(*batch, rows // 2, 2, columns // 2, 2, 9)
    cells = _swap(grid).reshape(*batch, rows // 2, columns // 2, 36)
    return _mosaic(cells[..., _XTRANS_BACK], 6)


def _cells(mosaic: ArrayT, period: int) -> ArrayT:
    """(..., h, w) -> (..., h/p, w/p, p*p)."""
    *batch, height, width = mosaic.shape
    if height % period or width % period:
        raise UserError(f"a mosaic of {width}x{height} cannot be packed: both sides must be multiples of {period}")
    grid = mosaic.reshape(*batch, height // period, period, width // period, period)
    return grid.swapaxes(-3, -2).reshape(*batch, height // period, width // period, period * period)


def _mosaic(cells: ArrayT, period: int) -> ArrayT:
    """The inverse of `_cells`."""
    *batch, rows, columns, _ = cells.shape
    grid = cells.reshape(*batch, rows, columns, period, period)
    return grid.swapaxes(-3, -2).reshape(*batch, rows * period, columns * period)


def _swap(grid: ArrayT) -> ArrayT:
    """Swaps the second and third of (rows, columns, dy, dx, c), or of (rows, dy, columns, dx, c)."""
    return grid.swapaxes(-4, -3)
