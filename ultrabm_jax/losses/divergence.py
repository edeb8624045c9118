"""Kullback-Leibler divergence KL(p || q) between what two maps are made of, one value per example (b,).

DRGN's equation 6 compares the "target distributions" p(I_D) and p(I_D,ref) and does not say of what. Three readings,
each per channel, then the mean over channels:

    softmax    over positions, p = softmax(I_D / temperature): the maps must agree in *where* they are high
    gaussian   of values, by mean and variance in closed form: they must agree in level and contrast, wherever
    histogram  of values, in bins with linear weights, so that it has a gradient: they must agree in the whole curve

All are zero for equal maps. "softmax" is also zero for any constant map, and near zero for any small one.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ultrabm_jax.errors import UserError

VARIANCE_FLOOR = 1e-6  # gaussian: of a channel; below it a map counts as flat
BINS, RANGE = 64, (-1.0, 1.0)  # histogram
EMPTY = 1e-3  # histogram: share of an image that lies evenly in all bins, so that none is empty


def kl_softmax(a: jax.Array, b: jax.Array, *, temperature: float = 1.0) -> jax.Array:
    """Sum over positions of p log(p / q)."""
    log_p, log_q = (jax.nn.log_softmax(x / temperature, axis=(1, 2)) for x in (a, b))
    return jnp.mean(jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=(1, 2)), axis=-1)


def kl_gaussian(a: jax.Array, b: jax.Array) -> jax.Array:
    """log(s_b / s_a) + (s_a^2 + (m_a - m_b)^2) / (2 s_b^2) - 1/2."""
    (mean_a, mean_b), (var_a, var_b) = zip(*map(_moments, (a, b)), strict=True)
    return jnp.mean((jnp.log(var_b / var_a) + (var_a + (mean_a - mean_b) ** 2) / var_b - 1) / 2, axis=-1)


def kl_histogram(a: jax.Array, b: jax.Array) -> jax.Array:
    """Sum over bins of p log(p / q); values beyond the range count at its ends."""
    p, q = (soft_histogram(x) * (1 - EMPTY) + EMPTY / BINS for x in (a, b))
    return jnp.mean(jnp.sum(p * jnp.log(p / q), axis=-1), axis=-1)


def soft_histogram(x: jax.Array, *, bins: int = BINS, span: tuple[float, float] = RANGE) -> jax.Array:
    """(b, h, w, c) -> shares (b, c, bins): a value is divided between the two nearest centres, by its distances."""
    low, high = span
    place = jnp.clip((x - low) / (high - low) * bins - 0.5, 0, bins - 1)
    # One bin after the other: all at once would hold h * w * bins values.
    shares = jax.lax.map(lambda k: jnp.mean(jax.nn.relu(1 - jnp.abs(place - k)), axis=(1, 2)), jnp.arange(bins))
    return jnp.moveaxis(shares, 0, -1)


def _moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    return mean[:, 0, 0], jnp.mean((x - mean) ** 2, axis=(1, 2)) + VARIANCE_FLOOR


DIVERGENCES: dict[str, Callable[..., jax.Array]] = {
    "softmax": kl_softmax,
    "gaussian": kl_gaussian,
    "histogram": kl_histogram,
}


def divergence(name: str, a: jax.Array, b: jax.Array, *, temperature: float = 1.0) -> jax.Array:
    """The named one; the temperature is softmax's."""
    if name not in DIVERGENCES:
        raise UserError(f"unknown loss.kl {name!r}; known: {', '.join(DIVERGENCES)}")
    return kl_softmax(a, b, temperature=temperature) if name == "softmax" else DIVERGENCES[name](a, b)
