"""3x3 convolution of many channels that is fast on CPUs: Winograd's F(2x2, 3x3) (Lavin and Gray 2016).

An output tile of 2x2 pixels is A^T [(G g G^T) * (B^T d B)] A, with d the 4x4 inputs below it and g the kernel. The sum
over channels comes between the two transforms, so that 16 products replace 36. With AlexNet's channels a CPU needs
about half the time, LPIPS as a whole is 1.16 times as fast (docs/log/benchmarks.md), and rounding errors are no larger.
Other platforms keep XLA's convolution.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.by_platform import by_platform
from ultrabm_jax.layers.dense_conv import xla_convolve
from ultrabm_jax.layers.parameters import param

# The smaller of input and output channels, and h * w, from which on this form is used. Measured: faster with the
# channels of AlexNet, slower with 44.
MIN_CHANNELS, MIN_PIXELS = 192, 16 * 16


class Conv3x3(nn.Module):
    """`flax.linen.Conv(features, (3, 3), padding=1)` by `convolve_3x3`: (b, h, w, c) -> (b, h, w, features)."""

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = param(self, "kernel", nn.initializers.lecun_normal(), (3, 3, x.shape[-1], self.features))
        bias = param(self, "bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = (value.astype(self.dtype) for value in (x, kernel, bias))
        return convolve_3x3(x, kernel) + bias


def convolve_3x3(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Zero-padded convolution: x (b, h, w, c), kernel (3, 3, c, features) -> (b, h, w, features)."""
    large = min(kernel.shape[2:]) >= MIN_CHANNELS and x.shape[1] * x.shape[2] >= MIN_PIXELS
    return by_platform(x, kernel, cpu=_by_winograd if large else None, default=xla_convolve)


def _by_winograd(x: jax.Array, kernel: jax.Array) -> jax.Array:
    (b, h, w, c), features = x.shape, kernel.shape[-1]
    rows, columns = -(-h // 2), -(-w // 2)  # of tiles
    padded = jnp.pad(x, ((0, 0), (1, 2 * rows - h + 1), (1, 2 * columns - w + 1), (0, 0)))
    strips = _input_transform([padded[:, i : i + 2 * rows : 2] for i in range(4)])
    tiles = [_input_transform([strip[:, :, j : j + 2 * columns : 2] for j in range(4)]) for strip in strips]
    inputs = jnp.stack([tile.reshape(-1, c) for row in tiles for tile in row])
    kernels = jnp.stack([part for row in _kernel_transform(list(kernel)) for part in _kernel_transform(list(row))])
    products = jnp.matmul(inputs, kernels).reshape(4, 4, b, rows, columns, features)
    outputs = [jnp.stack(_output_transform(list(row)), axis=-2) for row in _output_transform(list(products))]
    return jnp.stack(outputs, axis=2).reshape(b, 2 * rows, 2 * columns, features)[:, :h, :w]


def _input_transform(d: list[jax.Array]) -> list[jax.Array]:
    """B^T d, of four rows or columns."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _kernel_transform(g: list[jax.Array]) -> list[jax.Array]:
    """G g, of three rows or columns."""
    return [g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]]


def _output_transform(m: list[jax.Array]) -> list[jax.Array]:
    """A^T m, of four rows or columns."""
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
