"""Structural similarity (Wang et al. 2004) and its multi-scale form (Wang et al. 2003), per image.

11x11 Gaussian window of sigma 1.5, K = (.01, .03), windows that lie wholly inside the image, population covariance;
per channel, then the mean over channels. Multi-scale: five scales, the 2x2 mean with mirrored edge then every second
sample in between (imfilter(ones(2)/4, 'symmetric'), 1:2:end of the authors' msssim.m), product form.

`ssim` and `ms_ssim` are differentiable, for losses too; the named protocols round to 8 bit first.

Deviation: a mean contrast-structure below zero has no real power (MATLAB goes on with complex numbers). It counts as
zero here, with zero gradient, as in pytorch-msssim.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.images import PEAK, luma, matlab_gray, to_8bit

WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(a: jax.Array, b: jax.Array, *, peak: float = 1.0) -> jax.Array:
    """(b,), of images (b, h, w, c) with values 0..peak."""
    _check_size("SSIM", a, WINDOW)
    similarity, _ = _maps(a, b, peak)
    return jnp.mean(_mean_positions(similarity), axis=-1)


def ms_ssim(
    a: jax.Array, b: jax.Array, *, peak: float = 1.0, halve: Callable[[jax.Array], jax.Array] | None = None
) -> jax.Array:
    """(b,), of images (b, h, w, c) with values 0..peak; the smaller side must exceed 160 pixels.

    `halve` makes the next scale; None: as the authors' msssim.m. Implementations differ where a side is odd.
    """
    halve = _halve if halve is None else halve
    _check_size("MS-SSIM", a, (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1)
    product = jnp.ones(())
    for scale, weight in enumerate(SCALE_WEIGHTS, 1):
        similarity, contrast = _maps(a, b, peak)
        # the luminance term counts at the coarsest scale only
        term = _mean_positions(similarity if scale == len(SCALE_WEIGHTS) else contrast)
        product = product * _power(term, weight)
        if scale < len(SCALE_WEIGHTS):
            a, b = halve(a), halve(b)
    return jnp.mean(product, axis=-1)


def ssim_rgb(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return ssim(to_8bit(restored), to_8bit(reference), peak=PEAK)


def ssim_y(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return ssim(16 + luma(to_8bit(restored)), 16 + luma(to_8bit(reference)), peak=PEAK)


def ssim_gray(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return ssim(matlab_gray(to_8bit(restored)), matlab_gray(to_8bit(reference)), peak=PEAK)


def msssim_rgb(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return ms_ssim(to_8bit(restored), to_8bit(reference), peak=PEAK)


def msssim_gray(restored: jax.Array, reference: jax.Array) -> jax.Array:
    return ms_ssim(matlab_gray(to_8bit(restored)), matlab_gray(to_8bit(reference)), peak=PEAK)


def _maps(a: jax.Array, b: jax.Array, peak: float) -> tuple[jax.Array, jax.Array]:
    """Similarity and its contrast-structure factor at every window, (b, h-10, w-10, c).

    Columns and channels are one axis, (b, h, w c), and the moments are stacked in front: long rows without gaps, which
    a CPU adds up three times as fast as (b, h, w, c).
    """
    n, h, w, c = a.shape
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    # Covariances do not change when each image is shifted, but E[x^2] - E[x]^2 of values near 255 leaves only three
    # digits in float32. So each channel is shifted by about its mean (a whole number: 8-bit values stay exact).
    shift_a, shift_b = (jnp.tile(_about_mean(x, peak), (1, 1, w)) for x in (a, b))
    a, b = a.reshape(n, h, w * c) - shift_a, b.reshape(n, h, w * c) - shift_b
    mean_a, mean_b, squares, ab = _blur(jnp.stack([a, b, a * a + b * b, a * b]), c)
    contrast = (2 * (ab - mean_a * mean_b) + c2) / (squares - mean_a**2 - mean_b**2 + c2)
    inner = slice((w - WINDOW + 1) * c)
    mean_a, mean_b = mean_a + shift_a[..., inner], mean_b + shift_b[..., inner]
    similarity = contrast * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    inside = (n, h - WINDOW + 1, w - WINDOW + 1, c)
    return similarity.reshape(inside), contrast.reshape(inside)


def _about_mean(x: jax.Array, peak: float) -> jax.Array:
    """(b, 1, c)"""
    mean = jnp.mean(jnp.mean(x, axis=2), axis=1, keepdims=True)
    return jax.lax.stop_gradient(jnp.round(mean * (PEAK / peak)) * (peak / PEAK))


def _blur(x: jax.Array, c: int) -> jax.Array:
    """The Gaussian window on (..., h, w c), one axis after the other, valid positions only."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * SIGMA**2))
    taps = taps / taps.sum()
    h, w = x.shape[-2] - WINDOW + 1, x.shape[-1] - (WINDOW - 1) * c
    rows = functools.reduce(operator.add, (float(tap) * x[..., i : i + h, :] for i, tap in enumerate(taps)))
    return functools.reduce(operator.add, (float(tap) * rows[..., i * c : i * c + w] for i, tap in enumerate(taps)))


def _halve(x: jax.Array) -> jax.Array:
    h, w = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    return mean_2x2(x)


def mean_2x2(x: jax.Array) -> jax.Array:
    """Means over blocks of 2x2 pixels; both sides even."""
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def _power(x: jax.Array, exponent: float) -> jax.Array:
    """x^exponent, zero with zero gradient where x is not positive."""
    positive = x > 0
    return jnp.where(positive, jnp.where(positive, x, 1.0) ** exponent, 0.0)


def _mean_positions(x: jax.Array) -> jax.Array:
    return jnp.mean(jnp.mean(x, axis=2), axis=1)


def _check_size(name: str, image: jax.Array, smallest: int) -> None:
    if min(image.shape[1:3]) < smallest:
        raise UserError(f"{name} needs at least {smallest} pixels a side, got {image.shape[1]}x{image.shape[2]}")
