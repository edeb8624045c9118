"""Dense convolution with a kernel gradient that is fast on CPUs.

XLA computes the gradient of a kernel as a convolution whose window is the whole image, which is slow on a CPU for large
feature maps. One matrix product per kernel tap gives the same result up to rounding. Measured on one core, 3x3, 44 to
44 channels: batch 8 at 32x32 takes 13 ms instead of 31 ms, batch 2 at 64x64 11 ms instead of 23 ms
(docs/log/benchmarks.md). At 12x12 and with few channels both forms take about the same time. Other platforms keep XLA's
form.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

# The matrix products are used from this many pixels (h * w) and channels (the smaller of input and output) on.
MIN_PIXELS, MIN_CHANNELS = 16 * 16, 8


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Zero-padded convolution with an odd kernel.

    x (b, h, w, c), kernel (k, k, c, features) -> (b, ceil(h / stride), ceil(w / stride), features).
    """
    return xla_convolve(x, kernel, stride=stride)


def xla_convolve(
    x: jax.Array, kernel: jax.Array, *, stride: int = 1, precision: jax.lax.Precision | None = None
) -> jax.Array:
    """Zero-padded convolution with an odd kernel, shapes as `convolve`; XLA's convolution with autodiff's gradients."""
    pad = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )


def _forward(x: jax.Array, kernel: jax.Array, stride: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return xla_convolve(x, kernel, stride=stride), (x, kernel)


def _backward(stride: int, residuals: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    (dx,) = jax.linear_transpose(lambda x: xla_convolve(x, kernel, stride=stride), x)(dy)
    large = x.shape[1] * x.shape[2] >= MIN_PIXELS and min(kernel.shape[2:]) >= MIN_CHANNELS
    on_cpu = {"cpu": functools.partial(_kernel_gradient_by_taps, stride=stride)} if large else {}
    default = functools.partial(_kernel_gradient_by_xla, stride=stride)
    return dx, jax.lax.platform_dependent(x, dy, kernel, **on_cpu, default=default)


def _kernel_gradient_by_xla(x: jax.Array, dy: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    (dk,) = jax.linear_transpose(lambda kernel: xla_convolve(x, kernel, stride=stride), kernel)(dy)
    return dk


def _kernel_gradient_by_taps(x: jax.Array, dy: jax.Array, kernel: jax.Array, *, stride: int) -> jax.Array:
    size, (h, w), features = kernel.shape[0], dy.shape[1:3], dy.shape[-1]
    pad = size // 2
    padded = jnp.pad(x.astype(jnp.float32), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    # As the left factor, dy is transposed once for all taps.
    dy_t = dy.astype(jnp.float32).reshape(-1, features).T

    def tap(i: int, j: int) -> jax.Array:
        pixels = padded[:, i : i + stride * (h - 1) + 1 : stride, j : j + stride * (w - 1) + 1 : stride]
        return jnp.dot(dy_t, pixels.reshape(-1, x.shape[-1])).T

    taps = [jnp.stack([tap(i, j) for j in range(size)]) for i in range(size)]
    return jnp.stack(taps).astype(kernel.dtype)


convolve.defvjp(_forward, _backward)
