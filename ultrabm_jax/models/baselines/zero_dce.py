"""Zero-DCE: zero-reference deep curve estimation (Guo et al., CVPR 2020), the released network.

A small network estimates eight curves for every pixel and channel, which are applied to the image in turn (equation 4
with r = -alpha in [-1, 1], as in the released code):

    curves = r_1 .. r_8 = tanh(seven 3x3 convolutions of x_0)        (b, h, w, 24), channels R G B of r_1 first
    x_n = x_{n-1} + r_n (x_{n-1}^2 - x_{n-1})                        (b, h, w, 3)

x_0 = low and every x_n are in [0, 1]. 79,416 parameters. The network neither denoises nor enlarges: `scale` is 1.

Deviation: the result is clipped to [0, 1], because rounding errors may exceed it by 1e-7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv

WIDTH = 32
ITERATIONS = 8


class ZeroDCE(nn.Module):
    """low (b, h, w, 3) in [0, 1], any size -> {"restored": (b, h, w, 3) in [0, 1], "curves": (b, h, w, 24)}."""

    scale: int = 1  # output size over input size
    padding: ClassVar[int] = 1  # the network does not pad images
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, low: jax.Array) -> dict[str, jax.Array]:
        def conv(x: jax.Array, number: int, features: int = WIDTH) -> jax.Array:
            return Conv(features, use_bias=True, dtype=self.dtype, name=f"conv{number}")(x)

        x1 = nn.relu(conv(low, 1))
        x2 = nn.relu(conv(x1, 2))
        x3 = nn.relu(conv(x2, 3))
        x4 = nn.relu(conv(x3, 4))
        x5 = nn.relu(conv(jnp.concatenate([x3, x4], axis=-1), 5))
        x6 = nn.relu(conv(jnp.concatenate([x2, x5], axis=-1), 6))
        x7 = conv(jnp.concatenate([x1, x6], axis=-1), 7, features=3 * ITERATIONS)
        curves = nn.tanh(x7.astype(jnp.float32))
        return {"restored": jnp.clip(apply_curves(low, curves), 0, 1), "curves": curves}


def apply_curves(low: jax.Array, curves: jax.Array) -> jax.Array:
    """Applies n curves (b, h, w, 3 n) to low (b, h, w, 3), in order."""
    x = low
    for r in jnp.split(curves, curves.shape[-1] // 3, axis=-1):
        x = x + r * (x**2 - x)
    return x


CHOICES: Mapping[str, tuple[object, ...]] = {"scale": (1,)}
