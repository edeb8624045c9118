"""Split (SRFlow): half of the channels leave the flow early, as noise of a mean and a scale that the other half tells.

    e = (removed - m) exp(-l),  m, l = the even and odd channels of a convolution of `kept`, zero at the start

SRFlow models the removed half as Gaussian N(m, exp(2 l)). Mapping it to e, which is N(0, 1) then, is the same
likelihood and makes the split one more invertible layer.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.models.lolisrflow.flow.coupling import ZeroConv, cross


class Split(nn.Module):
    """z (b, h, w, c) -> kept (b, h, w, c // 2), e (b, h, w, c - c // 2), logdet (b,); `join` is the inverse."""

    channels: int

    def setup(self) -> None:
        self.net = ZeroConv(2 * (self.channels - self.channels // 2))

    def __call__(self, z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        kept, removed = jnp.split(z, [self.channels // 2], axis=-1)
        m, log_scale = cross(self.net(kept))
        return kept, (removed - m) * jnp.exp(-log_scale), -jnp.sum(log_scale, axis=(1, 2, 3))

    def join(self, kept: jax.Array, e: jax.Array) -> tuple[jax.Array, jax.Array]:
        """-> z, logdet."""
        m, log_scale = cross(self.net(kept))
        z = jnp.concatenate([kept, e * jnp.exp(log_scale) + m], axis=-1)
        return z, jnp.sum(log_scale, axis=(1, 2, 3))
