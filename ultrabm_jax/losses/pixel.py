"""Pixel losses between two images (b, h, w, c) in the same units; one value per example (b,)."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def l1(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean absolute difference."""
    return jnp.mean(jnp.abs(a - b), axis=(1, 2, 3))


def smooth_l1(a: jax.Array, b: jax.Array) -> jax.Array:
    """Mean of 0.5 d^2 where |d| <= 1 and of |d| - 0.5 elsewhere (beta = 1)."""
    d = jnp.abs(a - b)
    return jnp.mean(jnp.where(d <= 1, 0.5 * d * d, d - 0.5), axis=(1, 2, 3))


def charbonnier(a: jax.Array, b: jax.Array, *, epsilon: float = 1e-3) -> jax.Array:
    """Mean of sqrt((a - b)^2 + epsilon^2), an L1 loss that is smooth at zero (Lai et al. 2017)."""
    return jnp.mean(jnp.sqrt((a - b) ** 2 + epsilon**2), axis=(1, 2, 3))
