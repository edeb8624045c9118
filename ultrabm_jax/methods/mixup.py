"""Mixup between the examples of a batch, as in the released UltraIS training (after Restormer's code).

Deviation: each example is mixed with its neighbour in the batch, whose order is already random, instead of with a
random permutation, for which devices would have to gather the whole batch.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.typing import Batch


def mixup(key: jax.Array, batch: Batch, *, probability: float, alpha: float) -> Batch:
    """With `probability`, mixes every example with another one, with one weight from Beta(alpha, alpha) for all arrays.

    The network computes the guidance from the mixed image (the release does not mix the guidance).
    """
    if not probability:
        return batch
    coin_key, weight_key = jax.random.split(key)
    weight = jax.random.beta(weight_key, alpha, alpha)
    weight = jnp.where(jax.random.bernoulli(coin_key, probability), weight, 1.0)
    return {name: weight * x + (1 - weight) * jnp.roll(x, 1, axis=0) for name, x in batch.items()}
