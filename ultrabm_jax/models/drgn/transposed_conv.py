"""Transposed convolution with stride 2, equal to PyTorch's `ConvTranspose2d`.

    out[2i - 1 + k] += x[i] K[k]        per axis; k = 0 .. kernel - 1, padding 1, kernel 3 (output_padding 1) or 4

Output pixel 2i is centred on input pixel i, so the layer is the adjoint of the strided `Conv`. Each of the four phases
of the output is a small convolution of the input; the phases are then interleaved. This multiplies no inserted zeros,
and its gradient is six times faster on a CPU than that of XLA's dilated form.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.canvas import zero_outside
from ultrabm_jax.layers.conv import torch_kernel_init
from ultrabm_jax.layers.parameters import param

# Kernel size -> for the even and the odd output phase, the taps of K in the order of the input pixels they multiply.
TAPS = {3: ((1,), (2, 0)), 4: ((3, 1), (2, 0))}


class TransposedConv(nn.Module):
    """(b, h, w, c) -> (b, 2 h, 2 w, features), without bias."""

    features: int
    kernel: int = 3
    dtype: DTypeLike = jnp.float32
    kernel_init: nn.initializers.Initializer = torch_kernel_init

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = param(self, "kernel", self.kernel_init, shape)
        return transposed_conv(zero_outside(x).astype(self.dtype), kernel.astype(self.dtype))

    @nn.nowrap
    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Multiply-accumulates of one call (layers/complexity.py)."""
        return math.prod(input_shape) * self.kernel**2 * self.features


def transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x (b, h, w, c), kernel (k, k, c, d) -> (b, 2 h, 2 w, d)."""
    rows = [jnp.stack([_phase(x, kernel, row, column) for column in (0, 1)], axis=3) for row in (0, 1)]
    b, h, w = x.shape[:3]
    return jnp.stack(rows, axis=2).reshape(b, 2 * h, 2 * w, kernel.shape[-1])


def _phase(x: jax.Array, kernel: jax.Array, row: int, column: int) -> jax.Array:
    taps = TAPS[kernel.shape[0]]
    phase_kernel = kernel[taps[row], :][:, taps[column]]
    # A second tap multiplies the previous input pixel (even outputs) or the next one (odd outputs).
    padding = [((1 - phase), phase) if len(taps[phase]) == 2 else (0, 0) for phase in (row, column)]
    return jax.lax.conv_general_dilated(x, phase_kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
