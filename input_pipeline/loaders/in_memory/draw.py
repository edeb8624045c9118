"""Which image, where, turned how: for all slots of a step, from (key, step) alone.

The numbering is that of sampling.py: example step * batch + slot shows image order(epoch)[number mod count].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def images(key: jax.Array, step: jax.Array, *, batch_size: int, count: int) -> jax.Array:
    """(b,) int32: each image once per epoch, in an order of its own for each epoch."""
    number = step.astype(jnp.uint32) * batch_size + jnp.arange(batch_size, dtype=jnp.uint32)
    epoch, place = number // count, (number % count).astype(jnp.int32)
    touched = (count + batch_size - 2) // count + 1  # epochs that a batch can reach into, at most
    keys = jax.vmap(lambda e: jax.random.fold_in(key, epoch[0] + e))(jnp.arange(touched, dtype=jnp.uint32))
    orders = jax.vmap(lambda k: jax.random.permutation(k, count))(keys)
    return orders[(epoch - epoch[0]).astype(jnp.int32), place]


def corners(keys: jax.Array, sizes: jax.Array, patch: int) -> jax.Array:
    """(b, 2) int32: top and left of uniformly placed patches in images of these sizes (b, 2)."""

    def corner(key: jax.Array, size: jax.Array) -> jax.Array:
        return jax.random.randint(key, (2,), 0, size - patch + 1)

    return jax.vmap(corner)(keys, sizes)
