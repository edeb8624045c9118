"""Mixup between the examples of a batch, as in the released UltraIS training (after Restormer's code).

Deviation: an example's partner is its neighbour in the batch, whose order is random already, and not one of a random
permutation, for which devices would have to gather the whole batch.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Batch = dict[str, jax.Array]


def mixup(key: jax.Array, batch: Batch, *, probability: float, alpha: float) -> Batch:
    """With `probability`, every example is mixed with another by one weight from Beta(alpha, alpha); all arrays alike.

    Guidance is computed by the model from the mixed image (the release forgets to mix it).
    """
    if not probability:
        return batch
    coin_key, weight_key = jax.random.split(key)
    weight = jax.random.beta(weight_key, alpha, alpha)
    weight = jnp.where(jax.random.bernoulli(coin_key, probability), weight, 1.0)
    return {name: weight * x + (1 - weight) * jnp.roll(x, 1, axis=0) for name, x in batch.items()}
