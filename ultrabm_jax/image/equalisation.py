"""Histogram equalisation of each channel on the device, of images (b, h, w, 3) in [0, 1] taken as 8-bit.

The same table as input_pipeline/sources/extra_inputs.py, the rule of OpenCV's equalizeHist, for images without such an
extra input. Its counts are a statistic of the whole image, so the table is one too (layers/statistics.py).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

LEVELS = 256


def levels_of(x: jax.Array) -> jax.Array:
    """[0, 1] -> 0 ... 255, int32."""
    return jnp.rint(jnp.clip(x, 0, 1) * (LEVELS - 1)).astype(jnp.int32)


def equalising_tables(levels: jax.Array) -> jax.Array:
    """(b, h, w, c) 0 ... 255 -> (b, c, 256) float32 in [0, 1], the new value of each level."""
    b, _, _, c = levels.shape
    flat = jnp.moveaxis(levels, -1, 1).reshape(b * c, -1)
    counts = jax.vmap(lambda channel: jnp.zeros(LEVELS, jnp.int32).at[channel].add(1))(flat)
    darkest = jnp.take_along_axis(counts, jnp.argmax(counts > 0, axis=1)[:, None], axis=1)
    rest = flat.shape[1] - darkest
    gain = jnp.float32(LEVELS - 1) / jnp.maximum(rest, 1).astype(jnp.float32)
    table = jnp.rint((jnp.cumsum(counts, axis=1) - darkest).astype(jnp.float32) * gain)
    table = jnp.where(rest == 0, jnp.arange(LEVELS, dtype=jnp.float32), jnp.clip(table, 0, LEVELS - 1))
    return table.reshape(b, c, LEVELS) / (LEVELS - 1)


def look_up(levels: jax.Array, tables: jax.Array) -> jax.Array:
    """(b, h, w, c), (b, c, 256) -> (b, h, w, c)."""
    b, h, w, c = levels.shape
    flat = jnp.moveaxis(levels, -1, 1).reshape(b, c, h * w)
    return jnp.moveaxis(jnp.take_along_axis(tables, flat, axis=2).reshape(b, c, h, w), 1, -1)
