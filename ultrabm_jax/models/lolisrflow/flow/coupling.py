"""Affine flow layers whose shift and scale depend on a condition (SRFlow, LLFlow).

    z' = (z + t) a,  a = sigmoid(s + 2) + 1e-4

t and s are the even and the odd channels of a small network's output, which is zero at initialisation, so that a starts
at 0.88. The affine injector transforms all channels given the condition; the conditional coupling transforms the second
half of the channels given the first half and the condition.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from ultrabm_jax.layers.canvas import zero_outside
from ultrabm_jax.layers.parameters import param
from ultrabm_jax.models.lolisrflow.flow.actnorm import ActNorm
from ultrabm_jax.models.lolisrflow.flow.float32_conv import convolve

MIN_SCALE = 1e-4
LOG_SCALE_FACTOR = 3.0  # multiplies the gain of `ZeroConv`


class FlowConv(nn.Module):
    """Zero-padded convolution and ActNorm: (b, h, w, any) -> (b, h, w, features). ActNorm makes a bias redundant."""

    features: int
    kernel: int = 3

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        x = zero_outside(x) if self.kernel > 1 else x
        x = convolve(x, param(self, "kernel", nn.initializers.normal(0.05), shape))
        return ActNorm(name="norm")(x)[0]


class ZeroConv(nn.Module):
    """3x3 convolution times exp(3 gain), zero at initialisation: (b, h, w, any) -> (b, h, w, features)."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        zeros = nn.initializers.zeros
        x = convolve(zero_outside(x), param(self, "kernel", zeros, (3, 3, x.shape[-1], self.features)))
        gain = param(self, "gain", zeros, (self.features,))
        return (x + param(self, "bias", zeros, (self.features,))) * jnp.exp(LOG_SCALE_FACTOR * gain)


class ShiftAndScale(nn.Module):
    """Network for shift and scale: (b, h, w, any) -> t, a; (b, h, w, channels) each."""

    channels: int
    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = jax.nn.relu(FlowConv(self.hidden, name="conv1")(x))
        x = jax.nn.relu(FlowConv(self.hidden, kernel=1, name="conv2")(x))
        t, s = even_odd(ZeroConv(2 * self.channels, name="conv3")(x))
        return t, jax.nn.sigmoid(s + 2) + MIN_SCALE


class AffineInjector(nn.Module):
    """z (b, h, w, c), condition (b, h, w, any) -> ((b, h, w, c), logdet (b,))."""

    hidden: int

    @nn.compact
    def __call__(self, z: jax.Array, condition: jax.Array, *, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
        t, a = ShiftAndScale(z.shape[-1], self.hidden, name="net")(condition)
        return affine(z, t, a, inverse=inverse)


class ConditionalCoupling(nn.Module):
    """z (b, h, w, c), condition (b, h, w, any) -> ((b, h, w, c), logdet (b,)); c at least 2."""

    hidden: int

    @nn.compact
    def __call__(self, z: jax.Array, condition: jax.Array, *, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
        kept, changed = jnp.split(z, [z.shape[-1] // 2], axis=-1)
        net = ShiftAndScale(changed.shape[-1], self.hidden, name="net")
        t, a = net(jnp.concatenate([kept, condition], axis=-1))
        changed, logdet = affine(changed, t, a, inverse=inverse)
        return jnp.concatenate([kept, changed], axis=-1), logdet


def even_odd(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Splits the channels into the even and the odd ones."""
    return x[..., 0::2], x[..., 1::2]


def affine(z: jax.Array, t: jax.Array, a: jax.Array, *, inverse: bool) -> tuple[jax.Array, jax.Array]:
    """(z + t) a with its logdet (b,), or the inverse z / a - t with the negative logdet."""
    logdet = jnp.sum(jnp.log(a), axis=(1, 2, 3))
    return (z / a - t, -logdet) if inverse else ((z + t) * a, logdet)
