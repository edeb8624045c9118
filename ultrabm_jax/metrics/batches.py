"""Means over a test set that comes in batches, of which the last is filled up: `mask` says what counts.

    total, count = masked_total(compute("psnr_rgb", restored, reference), batch["mask"])     in a jitted step
    mean = sum(totals) / sum(counts)                                                          over batches and hosts

Adding totals and counts, not means, gives each image the same weight.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def masked_total(values: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(sum of the values that count, how many); what does not count may be nan or infinite."""
    keep = jnp.asarray(mask, bool)
    return jnp.sum(jnp.where(keep, values, 0)), jnp.sum(keep)


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """The mean of the values that count; nan where none does."""
    total, count = masked_total(values, mask)
    return total / count
