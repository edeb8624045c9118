"""FSIM and FSIMc (Zhang et al. 2011), per image; higher is better, 1 for identical images.

Phase congruency and gradient magnitude (Scharr) of the luma are compared point by point and weighted by the larger
phase congruency of the two images; `fsimc` also compares the two chroma signals of YIQ. Most packages call FSIMc fsim.

Images are first averaged over squares of f = max(1, round(smaller side / 256)) pixels; the remainder at the bottom and
the right is ignored. IQA-PyTorch and piq, which gave the reference values, do the same; the authors' MATLAB code
averages windows around every f-th pixel, which is equal for f = 2 and even sides. Float32, within 1e-5.

Deviation: where neither image has any feature (flat images), all points have equal weight instead of 0/0.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.metrics.features import FeatureMetric
from ultrabm_jax.metrics.images import check_size, to_8bit
from ultrabm_jax.metrics.phase_congruency import phase_congruency
from ultrabm_jax.typing import Array

YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
PHASE, GRADIENT, CHROMA = 0.85, 160.0, 200.0  # the paper's T1, T2, and T3 = T4
CHROMA_EXPONENT = 0.03
SMALLEST, TARGET = 8, 256


class Features(NamedTuple):
    """What FSIM compares, of each image, (b, h, w) each."""

    phase: jax.Array  # phase congruency of the luma
    gradient: jax.Array  # gradient magnitude of the luma
    i: jax.Array  # chroma
    q: jax.Array


@jax.jit
def features(image: Array) -> Features:
    """Of images (b, h, w, 3)."""
    check_size("FSIM", image, SMALLEST)
    luma, i, q = _signals(_downsample(to_8bit(image)))
    return Features(phase_congruency(luma), _scharr(luma), i, q)


@jax.jit
def compare_luma(a: Features, b: Features) -> jax.Array:
    """FSIM."""
    return _weighted_mean(_structure(a, b), a, b)


@jax.jit
def compare_colour(a: Features, b: Features) -> jax.Array:
    """FSIMc."""
    product = _similarity(a.i, b.i, CHROMA) * _similarity(a.q, b.q, CHROMA)
    return _weighted_mean(_structure(a, b) * _real_power(product), a, b)


fsim = FeatureMetric(features, compare_luma)  # on luma
fsimc = FeatureMetric(features, compare_colour)  # on luma and chroma


def _structure(a: Features, b: Features) -> jax.Array:
    return _similarity(a.phase, b.phase, PHASE) * _similarity(a.gradient, b.gradient, GRADIENT)


def _weighted_mean(similarity: jax.Array, a: Features, b: Features) -> jax.Array:
    weight = jnp.maximum(a.phase, b.phase)
    total = jnp.sum(jnp.sum(weight, axis=2), axis=1)
    weight = jnp.where(total[:, None, None] > 0, weight, 1.0)
    return jnp.sum(jnp.sum(weight * similarity, axis=2), axis=1) / jnp.sum(jnp.sum(weight, axis=2), axis=1)


def _signals(image: jax.Array) -> list[jax.Array]:
    """Y, I and Q, (b, h, w) each."""
    # Sums of products: accelerators compute matrix products at lower precision.
    return [jnp.sum(image * row, axis=-1) for row in YIQ]


def _downsample(image: jax.Array) -> jax.Array:
    """Block means, so that the smaller side has about `TARGET` pixels."""
    b, h, w, c = image.shape
    side = max(1, round(min(h, w) / TARGET))
    h, w = h // side, w // side
    return image[:, : h * side, : w * side].reshape(b, h, side, w, side, c).mean(axis=(2, 4))


def _scharr(x: jax.Array) -> jax.Array:
    """Gradient magnitude, with zero padding."""
    h, w = x.shape[1:]
    p = jnp.pad(x, ((0, 0), (1, 1), (1, 1)))
    rows = (3 * p[:, :h] + 10 * p[:, 1 : h + 1] + 3 * p[:, 2:]) / 16
    columns = (3 * p[:, :, :w] + 10 * p[:, :, 1 : w + 1] + 3 * p[:, :, 2:]) / 16
    return jnp.sqrt((rows[:, :, :w] - rows[:, :, 2:]) ** 2 + (columns[:, :h] - columns[:, 2:]) ** 2)


def _similarity(a: jax.Array, b: jax.Array, constant: float) -> jax.Array:
    return (2 * a * b + constant) / (a * a + b * b + constant)


def _real_power(x: jax.Array) -> jax.Array:
    """The real part of x^.03; for x < 0 that is |x|^.03 cos(.03 pi)."""
    return jnp.abs(x) ** CHROMA_EXPONENT * jnp.where(x < 0, np.cos(np.pi * CHROMA_EXPONENT), 1.0)
