"""Residual channel attention blocks (RCAB; Zhang et al. 2018, RCAN), as DRGN's networks use them: no biases, PReLU.

    RCAB(x) = x + CA(conv(PReLU(conv(x))))
    CA(y)   = y * sigmoid(conv1x1(PReLU(conv1x1(mean of y over positions))))

RCAN has ReLU and biases in their places.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv, torch_kernel_init
from ultrabm_jax.layers.tile_statistics import shared_statistic
from ultrabm_jax.models.drgn.transposed_conv import TransposedConv

KERNEL_INITS = {"xavier": nn.initializers.xavier_uniform(), "torch": torch_kernel_init}


class PReLU(nn.Module):
    """x where positive, slope x elsewhere; one trained slope for each channel."""

    start: float = 0.25

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        slope = self.param("slope", nn.initializers.constant(self.start), (x.shape[-1],))
        return jnp.where(x >= 0, x, slope.astype(x.dtype) * x)


@dataclasses.dataclass(frozen=True)
class Style:
    """What all layers of a network share."""

    init: str = "xavier"  # a key of KERNEL_INITS
    slope: float = 0.25  # of a PReLU before training
    dtype: DTypeLike = jnp.float32

    def conv(self, features: int, **options: Any) -> Conv:
        return Conv(features, dtype=self.dtype, **{"kernel_init": KERNEL_INITS[self.init], **options})

    def deconv(self, features: int, **options: Any) -> TransposedConv:
        return TransposedConv(features, dtype=self.dtype, kernel_init=KERNEL_INITS[self.init], **options)

    def act(self, name: str) -> PReLU:
        return PReLU(self.slope, name=name)


class ChannelAttention(nn.Module):
    """(b, h, w, c) -> the same, each channel times a factor in (0, 1)."""

    reduction: int
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        pooled = shared_statistic(self, "pooled", x.astype(jnp.float32).mean(axis=(1, 2), keepdims=True))
        z = self.style.conv(x.shape[-1] // self.reduction, kernel=1, name="squeeze")(pooled)
        z = self.style.conv(x.shape[-1], kernel=1, name="excite")(self.style.act("act")(z))
        return x * jax.nn.sigmoid(z)


class RCAB(nn.Module):
    """(b, h, w, c) -> (b, h, w, c)."""

    reduction: int = 16
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.style.act("act")(self.style.conv(x.shape[-1], name="conv1")(x))
        y = self.style.conv(x.shape[-1], name="conv2")(y)
        return x + ChannelAttention(self.reduction, self.style, name="attention")(y)
