"""Histogram equalisation by the rule of OpenCV's equalizeHist, for NumPy and JAX (`xp` is `numpy` or `jax.numpy`).

The darkest level that occurs becomes 0; level v becomes round(255 (C(v) - C0) / (N - C0)) with the cumulative counts C,
C0 the count of the darkest level and N the number of pixels. A channel that has a single level stays unchanged.
The table depends on the whole image, so a tile needs the table of its image (layers/tile_statistics.py).
"""

from __future__ import annotations

from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.typing import ArrayT

LEVELS = 256


def levels_of(x: ArrayT, *, xp: ModuleType = np) -> ArrayT:
    """[0, 1] -> the nearest of the levels 0 ... 255, int32."""
    levels: ArrayT = xp.rint(xp.clip(x, 0, 1) * (LEVELS - 1)).astype(xp.int32)
    return levels


def equalising_table(counts: ArrayT, *, xp: ModuleType = np) -> ArrayT:
    """(..., 256) number of pixels of each level -> (..., 256) float32, the new level 0 ... 255 of each level."""
    cumulative = xp.cumsum(counts, axis=-1)
    darkest = xp.take_along_axis(counts, xp.argmax(counts > 0, axis=-1)[..., None], axis=-1)
    rest = cumulative[..., -1:] - darkest
    # float32 as in OpenCV: in float64, a product at the edge of two levels can round the other way.
    gain = xp.float32(LEVELS - 1) / xp.maximum(rest, 1).astype(xp.float32)
    table = xp.rint((cumulative - darkest).astype(xp.float32) * gain)
    unchanged = xp.arange(LEVELS, dtype=xp.float32)
    new: ArrayT = xp.where(rest == 0, unchanged, xp.clip(table, 0, LEVELS - 1))
    return new


def equalise(image: np.ndarray) -> np.ndarray:
    """(h, w, c) uint8 -> the same, each channel equalised over the image. LoLiSRFlow's additional input."""
    counts = np.stack([np.bincount(channel.ravel(), minlength=LEVELS) for channel in np.moveaxis(image, -1, 0)])
    tables = equalising_table(counts).astype(np.uint8)
    return np.stack([table[image[..., c]] for c, table in enumerate(tables)], axis=-1)


def equalising_tables(levels: jax.Array, *, where: jax.Array | None = None) -> jax.Array:
    """(b, h, w, c) levels 0 ... 255 -> (b, c, 256) float32 in [0, 1], the new value of each level.

    where: (1, h, w, 1) bool, the positions that are counted; None: all.
    """
    b, _, _, c = levels.shape
    flat = jnp.moveaxis(levels, -1, 1).reshape(b * c, -1)
    weights = jnp.int32(1) if where is None else where.ravel().astype(jnp.int32)
    return equalising_table(level_counts(flat, weights), xp=jnp).reshape(b, c, LEVELS) / (LEVELS - 1)


@jax.jit  # so that export/substitutes.py finds the call by its name
def level_counts(levels: jax.Array, weights: jax.Array) -> jax.Array:
    """(n, positions) levels 0 ... 255 -> (n, 256) int32, the sum of the weights of the positions that have each level.

    weights: (positions,) int32, or a scalar.
    """
    return jax.vmap(lambda channel: jnp.zeros(LEVELS, jnp.int32).at[channel].add(weights))(levels)


def look_up(levels: jax.Array, tables: jax.Array) -> jax.Array:
    """Values of (b, h, w, c) levels by (b, c, 256) tables -> (b, h, w, c)."""
    b, h, w, c = levels.shape
    flat = jnp.moveaxis(levels, -1, 1).reshape(b, c, h * w)
    return jnp.moveaxis(jnp.take_along_axis(tables, flat, axis=2).reshape(b, c, h, w), 1, -1)
