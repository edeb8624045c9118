"""3x3 and 1x1 convolutions in full float32 precision, with gradients that are fast inside a loop.

XLA:CPU rewrites convolutions for its fast library only outside loops. The gradients that autodiff derives have another
form and took 15 times as long inside a loop (jaxlib 0.10.2). Here the gradient of x is written as an ordinary
convolution, and that of the kernel as one matrix product per kernel row.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.layers.dense_conv import xla_convolve

HIGHEST = jax.lax.Precision.HIGHEST


@jax.custom_vjp
def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Zero-padded convolution with an odd kernel: (b, h, w, c), (k, k, c, o) -> (b, h, w, o)."""
    return xla_convolve(x, kernel, precision=HIGHEST)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return convolve(x, kernel), (x, kernel)


def _backward(residuals: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    return convolve(dy, kernel[::-1, ::-1].swapaxes(2, 3)), _kernel_gradient(x, dy, size=kernel.shape[0])


def _kernel_gradient(x: jax.Array, dy: jax.Array, *, size: int) -> jax.Array:
    pad, (_, h, w, c) = size // 2, x.shape
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))

    def row(i: int) -> jax.Array:
        taps = jnp.concatenate([padded[:, i : i + h, j : j + w] for j in range(size)], axis=-1)
        return jnp.einsum("bhwt,bhwo->to", taps, dy, precision=HIGHEST).reshape(size, c, -1)

    return jnp.stack([row(i) for i in range(size)])


convolve.defvjp(_forward, _backward)
