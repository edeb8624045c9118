"""Discriminators of DRGN's first phase, used in training only: they classify images or degradations as real or fake.

The paper does not describe them. Two kinds, both for patches of any size from 16 pixels on:

    srgan   3x3 convolutions of width (1, 1, 2, 2, 4, 4, 8, 8) x C, every second one with stride 2, LeakyReLU 0.2, group
            normalisation after all but the first, mean over positions, dense 16 C, LeakyReLU, dense 1; after Ledig et
            al. 2017, which DRGN cites for its adversarial loss and which trains on 96x96 patches as well. Deviation:
            Ledig et al. use batch normalisation and flatten the features, which ties the result to the batch and to
            one size.
    atmfn   3x3 convolutions of width (1, 2, 4, 8, 16) x C, each with PReLU and 2x2 max pooling, mean over positions,
            dense 16 C, PReLU, dense 1; after ATMFN (Jiang et al. 2019), which DRGN cites for the weight of that loss.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.conv import Conv, leaky_relu
from ultrabm_jax.layers.pooling import max_pool
from ultrabm_jax.models.drgn.rcab import PReLU

KINDS = ("srgan", "atmfn")
NORMS = ("group", "none")
MAX_GROUPS = 32  # of a group normalisation
SRGAN = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))  # width, stride
ATMFN = (1, 2, 4, 8, 16)


class Discriminator(nn.Module):
    """(b, h, w, 3) -> logits (b,), float32; positive means real."""

    kind: str = "srgan"
    width: int = 64
    norm: str = "group"
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = self._srgan(x) if self.kind == "srgan" else self._atmfn(x)
        x = nn.Dense(16 * self.width, dtype=self.dtype, name="dense1")(x.mean(axis=(1, 2)))
        x = leaky_relu(x) if self.kind == "srgan" else PReLU(name="dense1_act")(x)
        return nn.Dense(1, dtype=self.dtype, name="dense2")(x)[:, 0].astype(jnp.float32)

    def _srgan(self, x: jax.Array) -> jax.Array:
        for i, (factor, stride) in enumerate(SRGAN, start=1):
            width = factor * self.width
            normalised = self.norm == "group" and i > 1
            x = Conv(width, stride=stride, use_bias=not normalised, dtype=self.dtype, name=f"conv{i}")(x)
            if normalised:
                groups = math.gcd(MAX_GROUPS, width)
                x = nn.GroupNorm(groups, use_fast_variance=False, dtype=self.dtype, name=f"norm{i}")(x)
            x = leaky_relu(x)
        return x

    def _atmfn(self, x: jax.Array) -> jax.Array:
        for i, factor in enumerate(ATMFN, start=1):
            x = Conv(factor * self.width, use_bias=True, dtype=self.dtype, name=f"conv{i}")(x)
            x = PReLU(name=f"act{i}")(x)
            if min(x.shape[1:3]) > 1:
                x = max_pool(x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2])
        return x


def make_discriminator(*, kind: str, width: int, norm: str, dtype: DTypeLike = jnp.float32) -> Discriminator:
    """Builds the discriminator that `config.discriminator` describes.

    Raises:
      UserError: for an unknown kind or norm.
    """
    for name, value, known in (("kind", kind, KINDS), ("norm", norm, NORMS)):
        if value not in known:
            raise UserError(f"unknown discriminator.{name} {value!r}; known: {', '.join(known)}")
    return Discriminator(kind, width, norm, dtype)
