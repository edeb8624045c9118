"""A convolution of an image whose cells of c x c pixels are the channels of one position (`pixel_unshuffle`).

TPUs pad channels to 128, so a convolution of few channels at full size moves mostly padding. Of cells it has c^2 times
the channels at 1 / c of the size; its kernel has zeros where a cell's window is wider than a pixel's.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cell_kernel(kernel: jax.Array, cell: int) -> jax.Array:
    """Kernel of pixels (k, k, i, o) -> kernel of cells (3, 3, i c^2, o c^2), with k / 2 <= c.

    Convolving `pixel_unshuffle(x, cell)` with it, zero-padded, gives `pixel_unshuffle` of x convolved with `kernel`, up
    to the order of sums.
    """
    k, _, inputs, features = kernel.shape
    for axis in (0, 1):  # for each row (column) of a cell of the output, its window in three cells of the input
        before = [cell + offset - k // 2 for offset in range(cell)]
        padding = [[(0, 0)] * axis + [(n, 3 * cell - k - n)] + [(0, 0)] * (kernel.ndim - axis - 1) for n in before]
        kernel = jnp.stack([jnp.pad(kernel, one) for one in padding], axis=-1)
    kernel = kernel.reshape(3, cell, 3, cell, inputs, features, cell, cell).transpose(0, 2, 4, 1, 3, 5, 6, 7)
    return kernel.reshape(3, 3, inputs * cell**2, features * cell**2)
