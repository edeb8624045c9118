"""Arrays that a CPU program computes once and stores, where XLA would compute them again inside their consumers.

XLA's CPU compiler fuses a chain of elementwise operations into the sums and shifted reads that follow, and then
evaluates the chain in loops that are not vectorised, or once for each shift. Other compilers profit from these fusions.
"""

from __future__ import annotations

import jax

from ultrabm_jax.layers.by_platform import by_platform


def stored_on_cpu(x: jax.Array) -> jax.Array:
    """x; on a CPU, it and its cotangent are not fused into what reads them. No operation on other platforms."""
    return by_platform(x, cpu=_stored, default=_unchanged)


def _stored(x: jax.Array) -> jax.Array:
    y: jax.Array = jax.lax.optimization_barrier(x)
    return y


def _unchanged(x: jax.Array) -> jax.Array:
    return x
