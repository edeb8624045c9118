"""Activation normalisation (ActNorm of Glow): z' = (z + bias) exp(log_scale), one pair per channel.

Data-dependent initialisation is a forward pass with mutable parameters:

    _, fitted = flow.apply(variables, z, conditions, mutable=["params"])

Every ActNorm in turn sets its parameters so that its output has mean 0 and variance 1 over the batch. Under jit this is
the global batch, on any mesh. `init` sets both parameters to zero.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.layers.parameters import param

EPSILON = 1e-6  # added to the standard deviation, which is zero for a constant channel


def initialises_from_data(module: nn.Module) -> bool:
    """Whether this call is a pass of data-dependent initialisation."""
    return module.is_mutable_collection("params") and not module.is_initializing()


class ActNorm(nn.Module):
    """(b, h, w, c) -> ((b, h, w, c), logdet (b,)); `inverse=True` is the inverse."""

    @nn.compact
    def __call__(self, z: jax.Array, *, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
        b, h, w, c = z.shape
        bias = param(self, "bias", nn.initializers.zeros, (c,))
        log_scale = param(self, "log_scale", nn.initializers.zeros, (c,))
        if initialises_from_data(self) and not inverse:
            bias, log_scale = _statistics(z)
            self.put_variable("params", "bias", bias)
            self.put_variable("params", "log_scale", log_scale)
        logdet = jnp.full((b,), h * w) * jnp.sum(log_scale)
        if inverse:
            return z * jnp.exp(-log_scale) - bias, -logdet
        return (z + bias) * jnp.exp(log_scale), logdet


def _statistics(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean = jnp.mean(z, axis=(0, 1, 2))
    deviation = jnp.sqrt(jnp.mean((z - mean) ** 2, axis=(0, 1, 2)))
    return -mean, -jnp.log(deviation + EPSILON)
