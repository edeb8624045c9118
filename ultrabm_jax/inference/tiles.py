"""Tiles that cover an image, and windows that blend them; pure geometry on the host.

All tiles of an axis have the same size and start on multiples of the network's pooling grid, so that pooling is the
same as in the whole image. They are spaced evenly, and neighbours share at least `overlap` pixels. The middle half of
the overlap is cross-faded with a raised cosine; the quarter next to a cut edge, where the network received padding
instead of the image, is discarded.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from ultrabm_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis cut into tiles; if `size` exceeds the image, the image is padded by reflection."""

    size: int  # of the padded image
    tile: int
    fade: int  # pixels of a cross-fade
    starts: tuple[int, ...]

    def centres(self) -> list[float]:
        """The middle of each overlap of neighbouring tiles."""
        return [(left + self.tile + right) / 2 for left, right in itertools.pairwise(self.starts)]

    def windows(self, scale: int) -> list[np.ndarray]:
        """One (scale * tile,) float32 window per tile; over each output pixel they sum to exactly one."""
        rises = [_rise(self.size * scale, centre * scale, self.fade * scale) for centre in self.centres()]
        whole = np.ones(self.size * scale, np.float32)
        windows = []
        for k, start in enumerate(self.starts):
            window = (rises[k - 1] if k else whole) * (1 - rises[k] if k < len(rises) else whole)
            windows.append(window[start * scale : (start + self.tile) * scale])
        return windows


def _rise(size: int, centre: float, width: int) -> np.ndarray:
    """0 before the fade, 1 after it; float32, so that r + (1 - r) is exactly 1."""
    phase = np.clip((np.arange(size) + 0.5 - centre) / max(width, 1) + 0.5, 0.0, 1.0)
    return (0.5 - 0.5 * np.cos(np.pi * phase)).astype(np.float32)


def plan_axis(size: int, tile: int, overlap: int, multiple: int) -> Axis:
    """Cuts an axis of `size` pixels, unless it fits into one tile. Raises UserError if the tiles are too small."""
    tile, overlap = tile // multiple * multiple, -(-overlap // multiple) * multiple
    if tile < 2 * (overlap + multiple):
        raise UserError(
            f"a tile of {tile} pixels is too small for an overlap of {overlap}: make it at least "
            f"{2 * (overlap + multiple)} or reduce the overlap"
        )
    if size <= tile:
        return Axis(size, size, 0, (0,))
    padded = -(-size // multiple) * multiple
    count = -(-(padded - overlap) // (tile - overlap))
    steps = (padded - tile) // multiple
    starts = tuple(multiple * (k * steps // (count - 1)) for k in range(count)) if count > 1 else (0,)
    return Axis(padded, tile, overlap // 2, starts)
