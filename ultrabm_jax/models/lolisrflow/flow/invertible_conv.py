"""Invertible 1x1 convolution (Glow): every pixel's channels times one matrix, z' = W z.

W starts orthogonal and is trained as it is, without an LU form, as in SRFlow and LLFlow. Determinants and inverses are
taken of all matrices of a level at once, (n, c, c), and not one by one inside the loop over its steps.

Deviation: LLFlow inverts in float64, which not every accelerator has; here one step of Newton's iteration in float32
follows, after which a product with W is as close to one as with the float64 inverse rounded to float32.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ultrabm_jax.models.lolisrflow.flow.float32_conv import HIGHEST


def orthogonal(key: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
    """(n, c, c) float32, uniformly distributed rotations and reflections."""
    init = jax.nn.initializers.orthogonal()
    return _each(lambda k: init(k, shape[1:], jnp.float32), jax.random.split(key, shape[0]))


def mix(z: jax.Array, matrix: jax.Array) -> jax.Array:
    """(b, h, w, c) -> (b, h, w, c)."""
    return jnp.einsum("bhwc,dc->bhwd", z, matrix, precision=HIGHEST)


@jax.custom_vjp
def inverse(matrices: jax.Array) -> jax.Array:
    """(n, c, c) -> (n, c, c). Its gradient is two products, not another solution."""
    first = _each(jnp.linalg.inv, matrices)
    # What remains in front of W, not behind it: an image goes through W first and through the inverse then.
    residual = jnp.eye(matrices.shape[-1]) - _product(first, matrices)
    return first + _product(residual, first)


@jax.custom_vjp
def log_abs_determinant(matrices: jax.Array) -> jax.Array:
    """(n, c, c) -> (n,); of the whole layer, once for each pixel. Its gradient is the transposed inverse."""
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
    """`function` of each matrix: at once, but on CPUs one after the other.

    There, two LAPACK calls on stacks that run at the same time can wait for each other for ever (jaxlib 0.10.2: each
    holds the thread that the other's parts wait for).
    """
    return jax.lax.platform_dependent(stacked, cpu=functools.partial(jax.lax.map, function), default=jax.vmap(function))
