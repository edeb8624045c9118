"""Residual channel attention blocks (RCAB of RCAN, Zhang et al. 2018) and the layer options of DRGN's networks.

    RCAB(x) = x + CA(conv(PReLU(conv(x))))
    CA(y)   = y * sigmoid(conv1x1(PReLU(conv1x1(mean of y over positions))))

Deviation from RCAN: PReLU instead of ReLU, and no biases.
"""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.canvas import mean_over_positions
from ultrabm_jax.layers.conv import Conv, torch_kernel_init
from ultrabm_jax.layers.parameters import param
from ultrabm_jax.layers.tile_statistics import shared_statistic
from ultrabm_jax.models.drgn.transposed_conv import TransposedConv

KERNEL_INITS = {"xavier": nn.initializers.xavier_uniform(), "torch": torch_kernel_init}


class PReLU(nn.Module):
    """x where x >= 0, slope * x elsewhere; one trained slope per channel."""

    start: float = 0.25  # initial slope

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        slope = param(self, "slope", nn.initializers.constant(self.start), (x.shape[-1],))
        return jnp.where(x >= 0, x, slope.astype(x.dtype) * x)


@dataclasses.dataclass(frozen=True)
class Style:
    """Options that all layers of a network share."""

    init: str = "xavier"  # a key of KERNEL_INITS
    slope: float = 0.25  # initial slope of the PReLUs
    dtype: DTypeLike = jnp.float32

    def conv(
        self,
        features: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        kernel_init: nn.initializers.Initializer | None = None,
        name: str | None = None,
    ) -> Conv:
        """Convolution; `kernel_init` replaces the initialiser that `init` names."""
        init = kernel_init or KERNEL_INITS[self.init]
        return Conv(features, kernel, stride, dtype=self.dtype, kernel_init=init, name=name)

    def deconv(self, features: int, *, kernel: int = 3, name: str | None = None) -> TransposedConv:
        """Transposed convolution with stride 2."""
        return TransposedConv(features, kernel, dtype=self.dtype, kernel_init=KERNEL_INITS[self.init], name=name)

    def act(self, name: str) -> PReLU:
        """Activation."""
        return PReLU(self.slope, name=name)


class ChannelAttention(nn.Module):
    """(b, h, w, c) -> (b, h, w, c), each channel multiplied by a factor in (0, 1)."""

    reduction: int
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        pooled = shared_statistic(self, "pooled", mean_over_positions(x))
        z = self.style.conv(x.shape[-1] // self.reduction, kernel=1, name="squeeze")(pooled)
        z = self.style.conv(x.shape[-1], kernel=1, name="excite")(self.style.act("act")(z))
        return x * jax.nn.sigmoid(z)


class RCAB(nn.Module):
    """Residual channel attention block: (b, h, w, c) -> (b, h, w, c)."""

    reduction: int = 16
    style: Style = Style()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.style.act("act")(self.style.conv(x.shape[-1], name="conv1")(x))
        y = self.style.conv(x.shape[-1], name="conv2")(y)
        return x + ChannelAttention(self.reduction, self.style, name="attention")(y)
