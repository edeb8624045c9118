"""Split (SRFlow): half of the channels leave the flow early, as Gaussian noise given the other half.

    e = (removed - m) exp(-l),  m, l = the even and odd channels of a convolution of `kept`, zero at initialisation

SRFlow models the removed half as N(m, exp(2 l)). Mapping it to e ~ N(0, 1) has the same likelihood and makes the split
an invertible layer like the others.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.models.lolisrflow.flow.coupling import ZeroConv, even_odd


class Split(nn.Module):
    """z (b, h, w, c) -> kept (b, h, w, c // 2), e (b, h, w, c - c // 2), logdet (b,); `join` is the inverse."""

    channels: int

    def setup(self) -> None:
        self.net = ZeroConv(2 * (self.channels - self.channels // 2))

    def __call__(self, z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        kept, removed = jnp.split(z, [self.channels // 2], axis=-1)
        m, log_scale = even_odd(self.net(kept))
        return kept, (removed - m) * jnp.exp(-log_scale), -jnp.sum(log_scale, axis=(1, 2, 3))

    def join(self, kept: jax.Array, e: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Inverse: kept, e -> z (b, h, w, c), logdet (b,)."""
        m, log_scale = even_odd(self.net(kept))
        z = jnp.concatenate([kept, e * jnp.exp(log_scale) + m], axis=-1)
        return z, jnp.sum(log_scale, axis=(1, 2, 3))
