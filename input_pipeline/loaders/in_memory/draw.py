"""Draws the images and crop offsets of all slots of a step: pure functions of the key and the step.

Examples are numbered as in sampling.py: example step * batch + slot shows image order(epoch)[number mod count].
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def image_indices(key: jax.Array, step: jax.Array, *, batch_size: int, count: int) -> jax.Array:
    """(b,) int32: each image once per epoch, in a new order for each epoch."""
    number = step.astype(jnp.uint32) * batch_size + jnp.arange(batch_size, dtype=jnp.uint32)
    epoch, place = number // count, (number % count).astype(jnp.int32)
    spanned = (count + batch_size - 2) // count + 1  # largest number of epochs that a batch can span
    keys = jax.vmap(lambda e: jax.random.fold_in(key, epoch[0] + e))(jnp.arange(spanned, dtype=jnp.uint32))
    orders = jax.vmap(lambda k: jax.random.permutation(k, count))(keys)
    return orders[(epoch - epoch[0]).astype(jnp.int32), place]


def members(key: jax.Array, step: jax.Array, *, batch_size: int, bounds: Sequence[float]) -> jax.Array:
    """(b,) int32: the member of a mixture for each slot; `bounds` separate the members' shares of [0, 1)."""
    uniform = jax.random.uniform(jax.random.fold_in(key, step), (batch_size,))
    return jnp.searchsorted(jnp.array(bounds, jnp.float32), uniform, side="right").astype(jnp.int32)


def crop_offsets(keys: jax.Array, sizes: jax.Array, patch: int) -> jax.Array:
    """(b, 2) int32: top and left of uniformly placed patches in images of these sizes (b, 2)."""

    def offset(key: jax.Array, size: jax.Array) -> jax.Array:
        return jax.random.randint(key, (2,), 0, size - patch + 1)

    return jax.vmap(offset)(keys, sizes)
