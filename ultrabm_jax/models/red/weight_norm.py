"""Convolution with weight normalisation (Salimans and Kingma 2016): kernel = gain * v / ||v||, one gain per output.

The norm runs over all axes but the last, the output channels. The parameter "kernel" holds v, "gain" the gain; after
`fold_weight_norm`, "kernel" holds the product and "gain" is absent. The module's `weight_norm` selects which form it
expects.

Initialisation: v by Kaiming's normal rule for a LeakyReLU of slope a (1: linear); gain ||v||, so that the first kernel
is v; bias as in torch.nn.Conv2d.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.canvas import zero_outside
from ultrabm_jax.layers.cell_conv import cell_kernel
from ultrabm_jax.layers.conv import torch_bias_init
from ultrabm_jax.layers.grouped_conv import grouped_convolve
from ultrabm_jax.layers.parameters import param
from ultrabm_jax.models.red.icnr import icnr
from ultrabm_jax.typing import Params, PyTree


def kaiming_normal(slope: float) -> nn.initializers.Initializer:
    """Normal with variance 2 / (1 + slope^2) / fan_in; a grouped convolution has the fan-in of one group."""
    return nn.initializers.variance_scaling(2 / (1 + slope**2), "fan_in", "normal")


def kernel_norm(kernel: jax.Array) -> jax.Array:
    """(..., out) -> (out,), the Euclidean norm over all axes but the last."""
    return jnp.sqrt(jnp.sum(kernel**2, axis=tuple(range(kernel.ndim - 1))))


class WeightNormConv(nn.Module):
    """Zero-padded convolution with an odd kernel: (b, h, w, c) -> (b, h, w, features)."""

    features: int
    kernel: int = 3
    groups: int = 1
    interleave: int = 1  # shuffle this many runs of channels of x first (grouped_conv.channel_shuffle)
    use_bias: bool = True
    slope: float = 1.0  # of the LeakyReLU that the initialisation assumes
    cell: int = 1  # factor of the pixel shuffle that follows, for ICNR; 1: no ICNR
    weight_norm: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, pixels: int = 1) -> jax.Array:
        """Convolves x; with `pixels` > 1, x and the result hold cells of pixels x pixels (cell_conv.py), ungrouped."""
        group_width = x.shape[-1] // pixels**2 // self.groups
        shape = (self.kernel, self.kernel, group_width, self.features)
        kernel = param(self, "kernel", icnr(kaiming_normal(self.slope), self.cell), shape)
        if self.weight_norm:
            kernel = kernel * (self.param("gain", lambda _: kernel_norm(kernel)) / kernel_norm(kernel))
        x = (zero_outside(x) if self.kernel > 1 else x).astype(self.dtype)
        kernel = kernel.astype(self.dtype)
        kernel = cell_kernel(kernel, pixels) if pixels > 1 else kernel
        y = grouped_convolve(x, kernel, groups=self.groups, interleave=self.interleave)
        if self.use_bias:
            init = icnr(torch_bias_init(self.kernel**2 * group_width), self.cell)
            bias = param(self, "bias", init, (self.features,)).astype(self.dtype)
            y = y + (jnp.repeat(bias, pixels**2) if pixels > 1 else bias)
        return y

    @nn.nowrap
    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Multiply-accumulates of one call (layers/complexity.py)."""
        return math.prod(output_shape) * self.kernel**2 * (input_shape[-1] // self.groups)


def fold_weight_norm(params: Params) -> Params:
    """Multiplies every gain into its kernel: the parameters of a module with `weight_norm=False`.

    A tree without gains is returned unchanged.
    """
    folded: dict[str, PyTree] = {  # sub-trees and arrays
        name: fold_weight_norm(value) if isinstance(value, Mapping) else value for name, value in params.items()
    }
    if "gain" in folded:
        kernel, gain = folded["kernel"], folded.pop("gain")
        folded["kernel"] = kernel * (gain / kernel_norm(kernel))
    return folded
