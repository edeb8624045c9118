"""SID's packing of X-Trans mosaics in its own terms: strided slices, one for each packed pixel of a 2x2 cell.

Chen et al., CVPR 2018, "Learning to See in the Dark", and its released code. Channels 0 to 4 gather samples of one
colour in a 6x6 cell into 2x2 packed pixels; channels 5 to 8 are the greens on grids of step 3.
"""

import numpy as np

# Channel: its colour, and the (row, column) in the cell for the packed pixels (0,0), (0,1), (1,0), (1,1).
CELLS = {
    0: ("red", [(0, 0), (0, 4), (3, 1), (3, 3)]),
    1: ("green", [(0, 2), (0, 5), (3, 2), (3, 5)]),
    2: ("blue", [(0, 1), (0, 3), (3, 0), (3, 4)]),
    3: ("red", [(1, 2), (2, 5), (5, 2), (4, 5)]),
    4: ("blue", [(2, 2), (1, 5), (4, 2), (5, 5)]),
}
GREENS = {5: (1, 0), 6: (1, 1), 7: (2, 0), 8: (2, 1)}  # channel: the start of its slices
COLOURS = {channel: colour for channel, (colour, _) in CELLS.items()} | dict.fromkeys(GREENS, "green")


def pack_by_slices(mosaic):
    """(..., h, w) -> (..., h/3, w/3, 9), 6 divides h and w."""
    height, width = mosaic.shape[-2:]
    packed = np.full((*mosaic.shape[:-2], height // 3, width // 3, 9), -1, mosaic.dtype)
    for channel, (_, places) in CELLS.items():
        for (dy, dx), (row, column) in zip([(0, 0), (0, 1), (1, 0), (1, 1)], places, strict=True):
            packed[..., dy::2, dx::2, channel] = mosaic[..., row::6, column::6]
    for channel, (row, column) in GREENS.items():
        packed[..., channel] = mosaic[..., row::3, column::3]
    return packed
