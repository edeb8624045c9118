"""Convolution with weight normalisation (Salimans and Kingma 2016): kernel = gain * v / ||v||, one gain per output.

The norm is taken over all axes but the last, the output channels. "kernel" holds v while there is a "gain", and the
product once `fold_weight_norm` has put the gain into it; the module's `weight_norm` says which of the two it expects.

Initialisation: v by Kaiming's rule in its normal form, for a LeakyReLU of slope a (1: linear); gain ||v||, so that the
first kernel is v; bias as torch.nn.Conv2d's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.conv import torch_bias_init
from ultrabm_jax.layers.grouped import convolve
from ultrabm_jax.layers.icnr import icnr


def kaiming_normal(slope: float) -> nn.initializers.Initializer:
    """Normal with variance 2 / (1 + a^2) / fan_in; the fan-in of a grouped convolution is its group's."""
    return nn.initializers.variance_scaling(2 / (1 + slope**2), "fan_in", "normal")


def kernel_norm(kernel: jax.Array) -> jax.Array:
    """(..., out) -> (out,), the Euclidean norm over all axes but the last."""
    return jnp.sqrt(jnp.sum(kernel**2, axis=tuple(range(kernel.ndim - 1))))


class NormedConv(nn.Module):
    """Odd, zero-padded convolution (b, h, w, c) -> (b, h, w, features)."""

    features: int
    kernel: int = 3
    groups: int = 1
    interleave: int = 1  # parts of x whose channels are shuffled first
    use_bias: bool = True
    slope: float = 1.0  # of the LeakyReLU that the initialisation reckons with
    cell: int = 1  # factor of the pixel shuffle that follows, for ICNR; 1: plain
    weight_norm: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        group_width = x.shape[-1] // self.groups
        shape = (self.kernel, self.kernel, group_width, self.features)
        kernel = self.param("kernel", icnr(kaiming_normal(self.slope), self.cell), shape)
        if self.weight_norm:
            kernel = kernel * (self.param("gain", lambda _: kernel_norm(kernel)) / kernel_norm(kernel))
        y = convolve(x.astype(self.dtype), kernel.astype(self.dtype), groups=self.groups, interleave=self.interleave)
        if self.use_bias:
            init = icnr(torch_bias_init(self.kernel**2 * group_width), self.cell)
            y = y + self.param("bias", init, (self.features,)).astype(self.dtype)
        return y


def fold_weight_norm(params: Mapping[str, Any]) -> dict[str, Any]:
    """The same parameters with every gain multiplied into its kernel: what a module with `weight_norm=False` takes.

    A tree without gains comes back as it is.
    """
    folded: dict[str, Any] = {
        name: fold_weight_norm(value) if isinstance(value, Mapping) else value for name, value in params.items()
    }
    if "gain" in folded:
        kernel, gain = folded["kernel"], folded.pop("gain")
        folded["kernel"] = kernel * (gain / kernel_norm(kernel))
    return folded
