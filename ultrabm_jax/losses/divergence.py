"""Kullback-Leibler divergence KL(p || q) between distributions taken from two maps, one value per example (b,).

DRGN's equation 6 compares the "target distributions" p(I_D) and p(I_D,ref) without defining them. Three readings are
implemented, each per channel and averaged over channels:

    softmax    over positions, p = softmax(I_D / temperature): compares *where* the maps are high
    gaussian   over values, in closed form from mean and variance: compares level and contrast, at any position
    histogram  over values, in bins with linear weights, which make it differentiable: compares the whole distribution

All are zero for equal maps. "softmax" is also zero for any two constant maps, and near zero for maps of small values.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ultrabm_jax.errors import UserError

VARIANCE_FLOOR = 1e-6  # gaussian: added to a channel's variance, so that flat maps have a finite divergence
BINS, RANGE = 64, (-1.0, 1.0)  # histogram
UNIFORM_SHARE = 1e-3  # histogram: share spread evenly over all bins, so that none is empty


def kl_softmax(a: jax.Array, b: jax.Array, *, temperature: float = 1.0) -> jax.Array:
    """KL over positions: the sum of p log(p / q)."""
    log_p, log_q = (jax.nn.log_softmax(x / temperature, axis=(1, 2)) for x in (a, b))
    return jnp.mean(jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=(1, 2)), axis=-1)


def kl_gaussian(a: jax.Array, b: jax.Array) -> jax.Array:
    """KL of two Gaussians: log(s_b / s_a) + (s_a^2 + (m_a - m_b)^2) / (2 s_b^2) - 1/2."""
    (mean_a, mean_b), (var_a, var_b) = zip(*map(_moments, (a, b)), strict=True)
    return jnp.mean((jnp.log(var_b / var_a) + (var_a + (mean_a - mean_b) ** 2) / var_b - 1) / 2, axis=-1)


def kl_histogram(a: jax.Array, b: jax.Array) -> jax.Array:
    """KL over bins: the sum of p log(p / q); values outside the range count in the first or last bin."""
    p, q = (soft_histogram(x) * (1 - UNIFORM_SHARE) + UNIFORM_SHARE / BINS for x in (a, b))
    return jnp.mean(jnp.sum(p * jnp.log(p / q), axis=-1), axis=-1)


def soft_histogram(x: jax.Array, *, bins: int = BINS, span: tuple[float, float] = RANGE) -> jax.Array:
    """(b, h, w, c) -> shares (b, c, bins): each value is shared linearly between the two nearest bin centres."""
    low, high = span
    position = jnp.clip((x - low) / (high - low) * bins - 0.5, 0, bins - 1)
    # One bin at a time: all bins at once would need h * w * bins values of memory.
    shares = jax.lax.map(lambda k: jnp.mean(jax.nn.relu(1 - jnp.abs(position - k)), axis=(1, 2)), jnp.arange(bins))
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
    """The divergence `name`, one of `DIVERGENCES`; `temperature` applies to "softmax" only."""
    if name not in DIVERGENCES:
        raise UserError(f"unknown loss.kl {name!r}; known: {', '.join(DIVERGENCES)}")
    return kl_softmax(a, b, temperature=temperature) if name == "softmax" else DIVERGENCES[name](a, b)
