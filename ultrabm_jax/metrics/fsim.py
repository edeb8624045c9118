"""FSIM and FSIMc (Zhang et al. 2011), per image; higher is better, 1 for identical images.

Phase congruency and gradient magnitude (Scharr) of the luma are compared point by point and weighted by the larger
phase congruency of the two images; `fsimc` also compares the two chroma signals of YIQ. Most packages call FSIMc fsim.

Images are first averaged over squares of f = max(1, round(smaller side / 256)) pixels; the remainder at the bottom and
the right is ignored. IQA-PyTorch and piq, which gave the reference values, do the same; the authors' MATLAB code
averages windows around every f-th pixel, which is equal for f = 2 and even sides. Float32, within 1e-5.

Deviation: where neither image has any feature (flat images), all points have equal weight instead of 0/0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.metrics.images import check_size, to_8bit
from ultrabm_jax.metrics.phase_congruency import phase_congruency
from ultrabm_jax.typing import Array

YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
PHASE, GRADIENT, CHROMA = 0.85, 160.0, 200.0  # the paper's T1, T2, and T3 = T4
CHROMA_EXPONENT = 0.03
SMALLEST, TARGET = 8, 256


def fsim(restored: Array, reference: Array) -> jax.Array:
    """FSIM, on luma."""
    return _fsim(restored, reference, chroma=False)


def fsimc(restored: Array, reference: Array) -> jax.Array:
    """FSIMc, on luma and chroma."""
    return _fsim(restored, reference, chroma=True)


def _fsim(restored: Array, reference: Array, *, chroma: bool) -> jax.Array:
    check_size("FSIM", restored, SMALLEST)
    ours, theirs = (_signals(_downsample(to_8bit(image))) for image in (restored, reference))
    weight, similarity = _phase_and_gradient(ours[0], theirs[0])
    if chroma:
        product = _similarity(ours[1], theirs[1], CHROMA) * _similarity(ours[2], theirs[2], CHROMA)
        similarity = similarity * _real_power(product)
    total = jnp.sum(jnp.sum(weight, axis=2), axis=1)
    weight = jnp.where(total[:, None, None] > 0, weight, 1.0)
    return jnp.sum(jnp.sum(weight * similarity, axis=2), axis=1) / jnp.sum(jnp.sum(weight, axis=2), axis=1)


def _phase_and_gradient(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The weight of each point and the similarity of its structure, (b, h, w) each."""
    phase_a, phase_b = jnp.split(phase_congruency(jnp.concatenate([a, b])), 2)
    structure = _similarity(phase_a, phase_b, PHASE) * _similarity(_scharr(a), _scharr(b), GRADIENT)
    return jnp.maximum(phase_a, phase_b), structure


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
