"""Depthwise convolution as a sum of shifted products, with a kernel gradient that is fast on CPUs.

XLA's own depthwise convolution is slow on CPUs and GPUs. In the gradient that autodiff derives from shifted products,
the kernel's part is one reduction over the whole image for each of the k^2 taps, which reads both arrays from memory
k^2 times. On a CPU, both are therefore read once, a few columns at a time, and added to k^2 accumulators of one column.
Measured on one core: 4 images of 48x48 with 84 channels 3.2 ms instead of 8.7 ms (docs/log/benchmarks.md). Other
platforms keep autodiff's form, and so do small images on a CPU.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from ultrabm_jax.layers.by_platform import by_platform

MIN_PIXELS = 12 * 12  # images with fewer pixels (h * w) keep autodiff's gradient
COLUMNS = (2, 1)  # that are added at a time: the first of these that divides the width


@jax.custom_vjp
def depthwise_convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Zero-padded convolution of each channel with its own odd kernel.

    x (b, h, w, c), kernel (k, k, 1, c) -> (b, h, w, c).
    """
    return shifted_products(x, kernel)


def shifted_products(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """As `depthwise_convolve`, with the gradients of autodiff on all platforms."""
    size, (h, w) = kernel.shape[0], x.shape[1:3]
    padded = _pad(x, size // 2)
    taps = (padded[:, i : i + h, j : j + w] * kernel[i, j, 0] for i in range(size) for j in range(size))
    return functools.reduce(jnp.add, taps)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return shifted_products(x, kernel), (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    large = x.shape[1] * x.shape[2] >= MIN_PIXELS
    on_cpu = _gradients_by_columns if large else None
    return by_platform(x, kernel, dy, cpu=on_cpu, default=_gradients_by_autodiff)


def _gradients_by_autodiff(x: jax.Array, kernel: jax.Array, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    dx, dk = jax.vjp(shifted_products, x, kernel)[1](dy)
    return dx, dk


def _gradients_by_columns(x: jax.Array, kernel: jax.Array, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    (dx,) = jax.linear_transpose(lambda x: shifted_products(x, kernel), x)(dy)
    return dx, _kernel_gradient_by_columns(x, dy, kernel)


def _kernel_gradient_by_columns(x: jax.Array, dy: jax.Array, kernel: jax.Array) -> jax.Array:
    """Adds columns to accumulators (b, h, c), one for each tap.

    Only columns are sliced dynamically, so that a batch or a height that is sharded over devices stays so.
    """
    size, (b, h, w, c) = kernel.shape[0], x.shape
    columns = next(columns for columns in COLUMNS if w % columns == 0)
    taps = [(i, j) for i in range(size) for j in range(size)]
    padded, dy = _pad(x.astype(jnp.float32), size // 2), dy.astype(jnp.float32)

    def add_columns(block: jax.Array, totals: list[jax.Array]) -> list[jax.Array]:
        around = jax.lax.dynamic_slice_in_dim(padded, block * columns, columns + size - 1, axis=2)
        here = jax.lax.dynamic_slice_in_dim(dy, block * columns, columns, axis=2)

        def products(i: int, j: int) -> jax.Array:
            return functools.reduce(jnp.add, (around[:, i : i + h, j + n] * here[:, :, n] for n in range(columns)))

        return [total + products(*tap) for total, tap in zip(totals, taps, strict=True)]

    totals = jax.lax.fori_loop(0, w // columns, add_columns, [jnp.zeros((b, h, c))] * len(taps))
    return jnp.stack([total.sum(axis=(0, 1)) for total in totals]).reshape(kernel.shape).astype(kernel.dtype)


def _pad(x: jax.Array, count: int) -> jax.Array:
    return jnp.pad(x, ((0, 0), (count, count), (count, count), (0, 0)))


depthwise_convolve.defvjp(_forward, _backward)
