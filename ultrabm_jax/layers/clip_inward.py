"""Clipping whose gradient can bring values back into the range."""

from __future__ import annotations

import jax
import jax.numpy as jnp


@jax.custom_vjp
def clip_inward(x: jax.Array, lower: float, upper: float) -> jax.Array:
    """clip(x, lower, upper) whose gradient is zero only where gradient descent would move x further outside.

    The gradient of jnp.clip is zero everywhere outside the range, so that a value stays there; a straight-through
    gradient would not bound it.
    """
    return jnp.clip(x, lower, upper)


def _forward(x: jax.Array, lower: float, upper: float) -> tuple[jax.Array, tuple[jax.Array, float, float]]:
    return clip_inward(x, lower, upper), (x, lower, upper)


def _backward(saved: tuple[jax.Array, float, float], slope: jax.Array) -> tuple[jax.Array, None, None]:
    x, lower, upper = saved
    outward = ((x < lower) & (slope > 0)) | ((x > upper) & (slope < 0))
    return jnp.where(outward, 0, slope), None, None


clip_inward.defvjp(_forward, _backward)
