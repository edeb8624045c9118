"""Likelihood of an image under the flow, in bits per pixel; one value per example, (b,).

    log p(y | x) = log N(z; mean, 1) + log |det dz / dy|
    bits per pixel = -log p / (H W ln 2), the three colours of a pixel together

Images are quantised, and a density on a lattice is not bounded. Uniform noise of width 1/32 is therefore added before
the flow (LLFlow; wider than the 1/255 between two 8-bit values), and the probability of a cell of that width replaces
the density: log p - H W log 32. LLFlow counts the factor once per pixel although the cell of three colours has it three
times. The difference is a constant 10 bits per pixel without influence on training; `per="value"` counts three.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

LEVELS = 32


def dequantise(key: jax.Array, y: jax.Array, *, levels: int = LEVELS) -> jax.Array:
    """y + U(-0.5, 0.5) / levels."""
    return y + jax.random.uniform(key, y.shape, minval=-0.5, maxval=0.5) / levels


def quantisation_bits(*, levels: int = LEVELS, per: str = "pixel") -> float:
    """Bits per pixel that the width of a cell adds to those of the density, counted per "pixel" or per "value"."""
    return {"pixel": 1, "value": 3}[per] * math.log2(levels)


def log_normal(z: jax.Array, mean: jax.Array) -> jax.Array:
    """log N(z; mean, 1), summed over all axes but the first: (b,)."""
    squares = jnp.sum((z - mean) ** 2, axis=tuple(range(1, z.ndim)))
    return -0.5 * (squares + math.prod(z.shape[1:]) * math.log(2 * math.pi))


def bits_per_pixel(log_density: jax.Array, *, pixels: int) -> jax.Array:
    """Log density in nats -> bits per pixel; smaller is more likely."""
    return -log_density / (math.log(2) * pixels)
