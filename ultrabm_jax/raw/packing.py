"""SID's packing of X-Trans mosaics into channels (Chen et al., CVPR 2018, "Learning to See in the Dark").

    (..., h, w) -> (..., h/3, w/3, 9)   at canonical phase; each 6x6 cell gives 2x2 packed pixels

Channels by the place in the cell, in the order of the packed pixels (0,0), (0,1), (1,0), (1,1):

    0 R (0,0) (0,4) (3,1) (3,3)     1 G (0,2) (0,5) (3,2) (3,5)     2 B (0,1) (0,3) (3,0) (3,4)
    3 R (1,2) (2,5) (5,2) (4,5)     4 B (2,2) (1,5) (4,2) (5,5)
    5 to 8 G: rows 1::3, 1::3, 2::3, 2::3 and columns 0::3, 1::3, 0::3, 1::3

Each sample appears once: packing is a permutation. Sizes that are not multiples of the period are refused; SID
crops them. Works on NumPy and on JAX arrays.
"""

from __future__ import annotations

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.typing import ArrayT

PERIOD = 6
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

# The place in a flattened cell of each packed element (dy, dx, channel).
_FROM = np.array([[y * PERIOD + x for y, x in places] for places in XTRANS_PLACES]).T.reshape(-1)


def pack_xtrans(mosaic: ArrayT) -> ArrayT:
    """(..., h, w) X-Trans in canonical phase -> (..., h/3, w/3, 9). Raises UserError unless 6 divides both sides."""
    *batch, height, width = mosaic.shape
    if height % PERIOD or width % PERIOD:
        raise UserError(f"a mosaic of {width}x{height} cannot be packed: both sides must be multiples of {PERIOD}")
    rows, columns = height // PERIOD, width // PERIOD
    grid = mosaic.reshape(*batch, rows, PERIOD, columns, PERIOD)
    cells = grid.swapaxes(-3, -2).reshape(*batch, rows, columns, PERIOD * PERIOD)
    packed = cells[..., _FROM].reshape(*batch, rows, columns, 2, 2, 9)
    return packed.swapaxes(-4, -3).reshape(*batch, 2 * rows, 2 * columns, 9)
