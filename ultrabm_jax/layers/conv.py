"""Convolution with PyTorch's default initialisation, in forms that are fast in XLA.

XLA's grouped convolutions are slow on CPUs and GPUs. A depthwise convolution is therefore computed as a sum of shifted
products (depthwise_conv.py) and a convolution with few groups as dense ones (grouped_conv.py). Both equal the grouped
form up to rounding.
"""

from __future__ import annotations

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ultrabm_jax.layers.canvas import zero_outside
from ultrabm_jax.layers.depthwise_conv import depthwise_convolve
from ultrabm_jax.layers.grouped_conv import grouped_convolve
from ultrabm_jax.layers.parameters import param

# Default of torch.nn.Conv2d, kaiming_uniform(a=sqrt(5)): U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
torch_kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")

leaky_relu = functools.partial(jax.nn.leaky_relu, negative_slope=0.2)


def torch_bias_init(fan_in: int) -> nn.initializers.Initializer:
    """Default bias of torch.nn.Conv2d: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
        bound = 1 / math.sqrt(fan_in)
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Conv(nn.Module):
    """Zero-padded convolution: (b, h, w, c) -> (b, ceil(h / stride), ceil(w / stride), features).

    `kernel` is odd. Padding is kernel // 2 on every side as in PyTorch, so the window of a strided convolution is
    centred on pixel 0; XLA's "SAME" padding may shift it. Parameters are float32; `dtype` is the computation type.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    use_bias: bool = False
    dtype: DTypeLike = jnp.float32
    kernel_init: nn.initializers.Initializer = torch_kernel_init

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        group_width = x.shape[-1] // self.groups
        shape = (self.kernel, self.kernel, group_width, self.features)
        kernel = param(self, "kernel", self.kernel_init, shape).astype(self.dtype)
        x = (zero_outside(x) if self.kernel > 1 else x).astype(self.dtype)
        if self.groups == x.shape[-1] == self.features:
            y = depthwise_convolve(x, kernel)
        else:
            y = grouped_convolve(x, kernel, groups=self.groups, stride=self.stride)
        if self.use_bias:
            fan_in = self.kernel**2 * group_width
            y = y + param(self, "bias", torch_bias_init(fan_in), (self.features,)).astype(self.dtype)
        return y

    @nn.nowrap
    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Multiply-accumulates of one call (layers/complexity.py)."""
        return math.prod(output_shape) * self.kernel**2 * (input_shape[-1] // self.groups)
