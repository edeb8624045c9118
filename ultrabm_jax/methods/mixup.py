"""Mixup between the examples of a batch, as in the released UltraIS training (after Restormer's code)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Batch = dict[str, jax.Array]


def mixup(key: jax.Array, batch: Batch, *, probability: float, alpha: float) -> Batch:
    """With `probability`, every example is mixed with another by one weight from Beta(alpha, alpha); all arrays alike.

    Guidance is computed by the model from the mixed picture (the release forgets to mix it).
    """
    if not probability:
        return batch
    coin_key, weight_key, order_key = jax.random.split(key, 3)
    weight = jax.random.beta(weight_key, alpha, alpha)
    weight = jnp.where(jax.random.bernoulli(coin_key, probability), weight, 1.0)
    order = jax.random.permutation(order_key, batch["low"].shape[0])
    return {name: weight * x + (1 - weight) * x[order] for name, x in batch.items()}
