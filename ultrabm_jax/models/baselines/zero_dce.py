"""Zero-DCE: zero-reference deep curve estimation (Guo et al., CVPR 2020), the released network.

A small network draws eight curves for every pixel and channel, and the image passes through them one after the other
(equation 4, with r = -alpha in [-1, 1], as the released code has it):

    curves = r_1 .. r_8 = tanh(seven 3x3 convolutions of x_0)        (b, h, w, 24), R G B of r_1 first
    x_n = x_{n-1} + r_n (x_{n-1}^2 - x_{n-1})                        (b, h, w, 3)

x_0 = low and every x_n lie in [0, 1]. 79,416 parameters. It enhances and does not denoise or enlarge: `scale` is 1.

Deviation: rounding may leave [0, 1] by 1e-7, so the result is clipped.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import Conv

WIDTH = 32
ITERATIONS = 8


class ZeroDCE(nn.Module):
    """low (b, h, w, 3) in [0, 1], any size -> {"restored": (b, h, w, 3) in [0, 1], "curves": (b, h, w, 24)}."""

    scale: int = 1  # of output to input, as every model has it
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
    """low (b, h, w, 3) through the n curves (b, h, w, 3 n), the first one first."""
    x = low
    for r in jnp.split(curves, curves.shape[-1] // 3, axis=-1):
        x = x + r * (x**2 - x)
    return x


CHOICES: dict[str, tuple[Any, ...]] = {"scale": (1,)}
