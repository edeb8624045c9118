"""Colour errors in CIELAB under D65, which PSNR hardly sees: CIEDE2000 and the ratio of chromas.

CIEDE2000 follows Sharma, Wu and Dalal 2005, with k_L = k_C = k_H = 1. Values are float32; the mean of an image differs
from scikit-image in float64 by less than 1e-4.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.image.colour import lab_from_srgb
from ultrabm_jax.metrics.images import PEAK, mean_per_image, to_8bit
from ultrabm_jax.typing import Array

MIN_CHROMA = 1.0  # mean chroma of a reference below which it counts as gray; about one just noticeable difference
_HALF_TURN = jnp.pi + 1e-6  # opposite hues differ by pi up to float32's rounding

Lab = tuple[jax.Array, jax.Array, jax.Array]  # L*, a* and b* of one shape


def delta_e(restored: Array, reference: Array) -> jax.Array:
    """Mean over pixels of CIEDE2000 between 8-bit images, (b,)."""
    return mean_per_image(ciede2000(_lab(restored), _lab(reference))[..., None])


def chroma_ratio(restored: Array, reference: Array) -> jax.Array:
    """Mean chroma sqrt(a*^2 + b*^2) of the restored 8-bit image, over that of the reference, (b,).

    1: as colourful as the reference, below 1: paler. nan if the mean chroma of the reference is below MIN_CHROMA.
    """
    found, expected = (mean_per_image(_chroma(_lab(image))[..., None]) for image in (restored, reference))
    return jnp.where(expected >= MIN_CHROMA, found / jnp.maximum(expected, MIN_CHROMA), jnp.nan)


def ciede2000(first: Lab, second: Lab) -> jax.Array:
    """The CIEDE2000 difference of CIELAB colours; symmetric in its arguments."""
    mean_chroma = (_chroma(first) + _chroma(second)) / 2
    stretch = 1.5 - 0.5 * _compression(mean_chroma)
    (l1, c1, h1), (l2, c2, h2) = (_polar(lab, stretch) for lab in (first, second))
    coloured = c1 * c2 > 0
    turn = jnp.where(h2 - h1 > _HALF_TURN, -2 * jnp.pi, jnp.where(h2 - h1 < -_HALF_TURN, 2 * jnp.pi, 0.0))
    hue_difference = 2 * jnp.sqrt(c1 * c2) * jnp.sin((h2 - h1 + turn) / 2)
    total = h1 + h2
    wrap = jnp.where(total < 2 * jnp.pi, 2 * jnp.pi, -2 * jnp.pi)
    mean_hue = jnp.where(coloured, jnp.where(turn == 0, total, total + wrap) / 2, total)
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    squared = jnp.square(lightness - 50)
    terms = (
        (l2 - l1) / (1 + 0.015 * squared / jnp.sqrt(20 + squared)),
        (c2 - c1) / (1 + 0.045 * chroma),
        hue_difference / (1 + 0.015 * chroma * _hue_weight(mean_hue)),
    )
    angle = jnp.deg2rad(60) * jnp.exp(-jnp.square((jnp.rad2deg(mean_hue) - 275) / 25))
    rotation = -2 * jnp.sin(angle) * _compression(chroma)
    return jnp.sqrt(jnp.maximum(sum(term**2 for term in terms) + rotation * terms[1] * terms[2], 0.0))


def _lab(image: Array) -> Lab:
    return lab_from_srgb(to_8bit(image) / PEAK, xp=jnp)


def _chroma(lab: Lab) -> jax.Array:
    return jnp.hypot(lab[1], lab[2])


def _polar(lab: Lab, stretch: jax.Array) -> Lab:
    """L', C' and h' in [0, 2 pi)."""
    lightness, a, b = lab
    a = a * stretch
    return lightness, jnp.hypot(a, b), jnp.where((a == 0) & (b == 0), 0.0, jnp.arctan2(b, a) % (2 * jnp.pi))


def _compression(chroma: jax.Array) -> jax.Array:
    """sqrt(C^7 / (C^7 + 25^7))."""
    seventh = (chroma / 25) ** 7
    return jnp.sqrt(seventh / (seventh + 1))


def _hue_weight(hue: jax.Array) -> jax.Array:
    """T."""
    weight = jnp.ones_like(hue)
    for amplitude, times, shift in ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63)):
        weight += amplitude * jnp.cos(times * hue + jnp.deg2rad(shift))
    return weight
