"""Charbonnier penalty (Lai et al. 2017), one value per example (b,): an L1 that is smooth at zero."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def charbonnier(a: jax.Array, b: jax.Array, *, epsilon: float = 1e-3) -> jax.Array:
    """Mean of sqrt((a - b)^2 + epsilon^2), of (b, h, w, c)."""
    return jnp.mean(jnp.sqrt((a - b) ** 2 + epsilon**2), axis=(1, 2, 3))
