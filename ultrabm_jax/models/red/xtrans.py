"""X-Trans mosaics as nine channels at a third of the size, the packing of SID (Chen et al. 2018, Fuji).

A cell of 6x6 samples becomes 2x2 pixels. The nine: R, G, B, R, B once per 3x3 on average, then four greens in place.
"""

from __future__ import annotations

import jax
import numpy as np

PERIOD, FACTOR, CHANNELS = 6, 3, 9

# Per channel the (row, column) in the cell of the packed pixels (0, 0), (0, 1), (1, 0), (1, 1).
CELLS = (
    ((0, 0), (0, 4), (3, 1), (3, 3)),  # R
    ((0, 2), (0, 5), (3, 2), (3, 5)),  # G
    ((0, 1), (0, 3), (3, 0), (3, 4)),  # B
    ((1, 2), (2, 5), (5, 2), (4, 5)),  # R
    ((2, 2), (1, 5), (4, 2), (5, 5)),  # B
    *((((y, x), (y, x + 3), (y + 3, x), (y + 3, x + 3))) for y, x in ((1, 0), (1, 1), (2, 0), (2, 1))),  # G
)
ORDER = np.array([[row * PERIOD + column for row, column in cells] for cells in CELLS])  # (9, 4)


def pack_xtrans(mosaic: jax.Array) -> jax.Array:
    """(b, h, w, 1) -> (b, h / 3, w / 3, 9); h and w multiples of 6."""
    b, h, w, _ = mosaic.shape
    rows, columns = h // PERIOD, w // PERIOD
    cells = mosaic.reshape(b, rows, PERIOD, columns, PERIOD).transpose(0, 1, 3, 2, 4)
    picked = cells.reshape(b, rows, columns, PERIOD**2)[..., ORDER.ravel()].reshape(b, rows, columns, CHANNELS, 2, 2)
    return picked.transpose(0, 1, 4, 2, 5, 3).reshape(b, h // FACTOR, w // FACTOR, CHANNELS)
