"""FSIM and FSIMc (Zhang et al. 2011), per image; higher is better, 1 for identical images.

Phase congruency and gradient strength (Scharr) of the luma, compared point by point and weighed by the larger phase
congruency of the two; `fsimc` also compares the two chroma signals of YIQ. What most packages call fsim is FSIMc.

Images are first averaged over squares of f = max(1, round(smaller side / 256)) pixels; what is left over at the bottom
and the right is not looked at. That is how IQA-PyTorch and piq do it, whose values the reference values are; the
authors' MATLAB takes windows about every f-th pixel, the same for f = 2 and even sides. Float32, within 1e-5.

Deviation: where neither image has any feature (flat images), all points count equally instead of 0/0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.images import to_8bit
from ultrabm_jax.metrics.phase_congruency import phase_congruency

YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
PHASE, GRADIENT, CHROMA = 0.85, 160.0, 200.0  # the constants T1 to T4
CHROMA_WEIGHT = 0.03
SMALLEST, TARGET = 8, 256


def fsim(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return _fsim(restored, reference, chroma=False)


def fsimc(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return _fsim(restored, reference, chroma=True)


def _fsim(restored: jax.Array, reference: jax.Array, *, chroma: bool) -> jax.Array:
    if min(restored.shape[1:3]) < SMALLEST:
        raise UserError(f"FSIM needs at least {SMALLEST} pixels a side, got {restored.shape[1]}x{restored.shape[2]}")
    ours, theirs = (_signals(_shrink(to_8bit(image))) for image in (restored, reference))
    weight, similarity = _phase_and_gradient(ours[0], theirs[0])
    if chroma:
        product = _similarity(ours[1], theirs[1], CHROMA) * _similarity(ours[2], theirs[2], CHROMA)
        similarity = similarity * _real_power(product)
    total = jnp.sum(jnp.sum(weight, axis=2), axis=1)
    weight = jnp.where(total[:, None, None] > 0, weight, 1.0)
    return jnp.sum(jnp.sum(weight * similarity, axis=2), axis=1) / jnp.sum(jnp.sum(weight, axis=2), axis=1)


def _phase_and_gradient(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What a point weighs and how much its structure agrees, (b, h, w) each."""
    phase_a, phase_b = jnp.split(phase_congruency(jnp.concatenate([a, b])), 2)
    structure = _similarity(phase_a, phase_b, PHASE) * _similarity(_scharr(a), _scharr(b), GRADIENT)
    return jnp.maximum(phase_a, phase_b), structure


def _signals(image: jax.Array) -> list[jax.Array]:
    """Y, I and Q, (b, h, w) each."""
    # sums of products, not a matrix product: those are cut to fewer bits on accelerators
    return [jnp.sum(image * row, axis=-1) for row in YIQ]


def _shrink(image: jax.Array) -> jax.Array:
    b, h, w, c = image.shape
    side = max(1, round(min(h, w) / TARGET))
    h, w = h // side, w // side
    return image[:, : h * side, : w * side].reshape(b, h, side, w, side, c).mean(axis=(2, 4))


def _scharr(x: jax.Array) -> jax.Array:
    """Gradient strength with zeros beyond the edges."""
    h, w = x.shape[1:]
    p = jnp.pad(x, ((0, 0), (1, 1), (1, 1)))
    rows = (3 * p[:, :h] + 10 * p[:, 1 : h + 1] + 3 * p[:, 2:]) / 16
    columns = (3 * p[:, :, :w] + 10 * p[:, :, 1 : w + 1] + 3 * p[:, :, 2:]) / 16
    return jnp.sqrt((rows[:, :, :w] - rows[:, :, 2:]) ** 2 + (columns[:, :h] - columns[:, 2:]) ** 2)


def _similarity(a: jax.Array, b: jax.Array, constant: float) -> jax.Array:
    return (2 * a * b + constant) / (a * a + b * b + constant)


def _real_power(x: jax.Array) -> jax.Array:
    """The real part of x^.03, which for x < 0 is |x|^.03 cos(.03 pi)."""
    return jnp.abs(x) ** CHROMA_WEIGHT * jnp.where(x < 0, np.cos(np.pi * CHROMA_WEIGHT), 1.0)
