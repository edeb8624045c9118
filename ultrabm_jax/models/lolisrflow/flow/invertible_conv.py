"""Invertible 1x1 convolution (Glow): every pixel's channels are multiplied by one matrix, z' = W z.

W is initialised orthogonal and trained directly, without an LU form, as in SRFlow and LLFlow. Determinants and inverses
are computed for all matrices of a level at once, (n, c, c), and not inside the loop over the steps.

Deviation: LLFlow inverts in float64, which not every accelerator supports. Here a float32 inverse is refined by one
Newton iteration; its product with W is then as close to the identity as with the float64 inverse rounded to float32.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ultrabm_jax.layers.by_platform import by_platform
from ultrabm_jax.models.lolisrflow.flow.float32_conv import HIGHEST


def orthogonal(key: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """Uniformly distributed orthogonal matrices (n, c, c), float32."""
    init = jax.nn.initializers.orthogonal()
    return _each(lambda k: init(k, shape[1:], jnp.float32), jax.random.split(key, shape[0]))


def mix(z: jax.Array, matrix: jax.Array) -> jax.Array:
    """Multiplies every pixel by `matrix` (c, c): (b, h, w, c) -> (b, h, w, c)."""
    return jnp.einsum("bhwc,dc->bhwd", z, matrix, precision=HIGHEST)


@jax.custom_vjp
def inverse(matrices: jax.Array) -> jax.Array:
    """Inverses of matrices: (n, c, c) -> (n, c, c). The gradient is two products instead of another factorisation."""
    first = _each(jnp.linalg.inv, matrices)
    # The left residual, because an image is multiplied by W first and by the inverse second.
    residual = jnp.eye(matrices.shape[-1]) - _product(first, matrices)
    return first + _product(residual, first)


@jax.custom_vjp
def log_abs_determinant(matrices: jax.Array) -> jax.Array:
    """log |det W| of each matrix: (n, c, c) -> (n,). A layer has this once per pixel. The gradient is W^-T."""
    return _each(lambda matrix: jnp.linalg.slogdet(matrix)[1], matrices)


def _inverse_forward(matrices: jax.Array) -> tuple[jax.Array, jax.Array]:
    out = inverse(matrices)
    return out, out


def _inverse_backward(out: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    transposed = out.swapaxes(-1, -2)
    return (-_product(_product(transposed, gradient), transposed),)


def _determinant_forward(matrices: jax.Array) -> tuple[jax.Array, jax.Array]:
    return log_abs_determinant(matrices), inverse(matrices)


def _determinant_backward(inverses: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (gradient[:, None, None] * inverses.swapaxes(-1, -2),)


inverse.defvjp(_inverse_forward, _inverse_backward)
log_abs_determinant.defvjp(_determinant_forward, _determinant_backward)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=HIGHEST)


def _each(function: Callable[[jax.Array], jax.Array], stacked: jax.Array) -> jax.Array:
    """Applies `function` to each matrix: vectorised, but sequentially on CPUs.

    On CPUs, two concurrent batched LAPACK calls can deadlock (jaxlib 0.10.2: each holds the thread that the tasks of
    the other wait for).
    """
    return by_platform(stacked, cpu=functools.partial(jax.lax.map, function), default=jax.vmap(function))
