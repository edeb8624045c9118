"""Structural similarity (SSIM, Wang et al. 2004) and its multi-scale form (MS-SSIM, Wang et al. 2003), per image.

SSIM: 11x11 Gaussian window with sigma 1.5, K = (.01, .03), windows entirely inside the image, population covariance;
per channel, then the mean over channels. MS-SSIM: product over five scales; between scales, 2x2 means with a mirrored
edge and then every second sample (imfilter(ones(2)/4, 'symmetric') and 1:2:end in the authors' msssim.m).

`ssim` and `ms_ssim` are differentiable and serve as losses too; the named protocols first round to 8 bits.

Deviation: a negative mean contrast-structure term has no real power (MATLAB continues with complex numbers). It counts
as zero here, with zero gradient, as in pytorch-msssim.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.layers.stored_on_cpu import stored_on_cpu
from ultrabm_jax.metrics.images import PEAK, check_size, luma_0_219, matlab_gray, to_8bit
from ultrabm_jax.typing import Array

WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_MIN_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1  # the window fits into the coarsest scale


def ssim(a: jax.Array, b: jax.Array, *, peak: float = 1.0) -> jax.Array:
    """SSIM, (b,), of images (b, h, w, c) with values 0..peak; each side needs at least 11 pixels."""
    check_size("SSIM", a, WINDOW)
    similarity, _ = _maps(a, b, peak)
    return jnp.mean(_mean_over_positions(similarity), axis=-1)


def ms_ssim(
    a: jax.Array, b: jax.Array, *, peak: float = 1.0, halve: Callable[[jax.Array], jax.Array] | None = None
) -> jax.Array:
    """MS-SSIM, (b,), of images (b, h, w, c) with values 0..peak; each side needs at least 161 pixels.

    `halve` computes the next scale; None: as the authors' msssim.m. Implementations differ where a side is odd.
    """
    halve = _halve if halve is None else halve
    check_size("MS-SSIM", a, MS_SSIM_MIN_SIDE)
    product = jnp.ones(())
    for scale, weight in enumerate(SCALE_WEIGHTS, 1):
        similarity, contrast = _maps(a, b, peak)
        # The luminance term enters at the coarsest scale only.
        term = _mean_over_positions(similarity if scale == len(SCALE_WEIGHTS) else contrast)
        product = product * _power(term, weight)
        if scale < len(SCALE_WEIGHTS):
            a, b = halve(a), halve(b)
    return jnp.mean(product, axis=-1)


def ssim_rgb(restored: Array, reference: Array) -> jax.Array:
    """SSIM of 8-bit RGB, mean over channels."""
    return ssim(to_8bit(restored), to_8bit(reference), peak=PEAK)


def ssim_y(restored: Array, reference: Array) -> jax.Array:
    """SSIM of BT.601 Y, 16..235, not rounded."""
    return ssim(16 + luma_0_219(to_8bit(restored)), 16 + luma_0_219(to_8bit(reference)), peak=PEAK)


def ssim_gray(restored: Array, reference: Array) -> jax.Array:
    """SSIM of MATLAB's rgb2gray."""
    return ssim(matlab_gray(to_8bit(restored)), matlab_gray(to_8bit(reference)), peak=PEAK)


def msssim_rgb(restored: Array, reference: Array) -> jax.Array:
    """MS-SSIM of 8-bit RGB, mean over channels."""
    return ms_ssim(to_8bit(restored), to_8bit(reference), peak=PEAK)


def msssim_gray(restored: Array, reference: Array) -> jax.Array:
    """MS-SSIM of MATLAB's rgb2gray."""
    return ms_ssim(matlab_gray(to_8bit(restored)), matlab_gray(to_8bit(reference)), peak=PEAK)


def _maps(a: jax.Array, b: jax.Array, peak: float) -> tuple[jax.Array, jax.Array]:
    """Similarity and its contrast-structure factor at every window, (b, h-10, w-10, c).

    Columns and channels are merged into one axis, (b, h, w c), and the moments are stacked in front. A CPU sums these
    long contiguous rows three times as fast as (b, h, w, c).
    """
    n, h, w, c = a.shape
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    # Covariances are invariant to a shift of each image, but E[x^2] - E[x]^2 of values near 255 leaves only three
    # digits in float32. So each channel is shifted by its rounded mean; 8-bit values stay exact.
    shift_a, shift_b = (jnp.tile(_rounded_mean(x, peak), (1, 1, w)) for x in (a, b))
    a, b = a.reshape(n, h, w * c) - shift_a, b.reshape(n, h, w * c) - shift_b
    mean_a, mean_b, squares, ab = _blur(jnp.stack([a, b, a * a + b * b, a * b]), c)
    contrast = (2 * (ab - mean_a * mean_b) + c2) / (squares - mean_a**2 - mean_b**2 + c2)
    inner = slice((w - WINDOW + 1) * c)
    mean_a, mean_b = mean_a + shift_a[..., inner], mean_b + shift_b[..., inner]
    similarity = contrast * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    inside = (n, h - WINDOW + 1, w - WINDOW + 1, c)
    return similarity.reshape(inside), contrast.reshape(inside)


def _rounded_mean(x: jax.Array, peak: float) -> jax.Array:
    """Mean of each channel, rounded to an 8-bit level, (b, 1, c)."""
    mean = jnp.mean(jnp.mean(x, axis=2), axis=1, keepdims=True)
    return jax.lax.stop_gradient(jnp.round(mean * (PEAK / peak)) * (peak / PEAK))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _blur(x: jax.Array, c: int) -> jax.Array:
    """The Gaussian window on (..., h, w c), one axis after the other, at valid positions only.

    The window is symmetric, so the gradient is the same blur of the padded cotangent. Autodiff's form, eleven padded
    copies for each axis, takes four times as long on a CPU (docs/log/benchmarks.md).
    """
    offsets = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * SIGMA**2))
    taps = taps / taps.sum()
    h, w = x.shape[-2] - WINDOW + 1, x.shape[-1] - (WINDOW - 1) * c
    rows = functools.reduce(operator.add, (float(tap) * x[..., i : i + h, :] for i, tap in enumerate(taps)))
    rows = stored_on_cpu(rows)
    return functools.reduce(operator.add, (float(tap) * rows[..., i * c : i * c + w] for i, tap in enumerate(taps)))


def _blur_forward(x: jax.Array, c: int) -> tuple[jax.Array, None]:
    return stored_on_cpu(_blur(x, c)), None


def _blur_backward(c: int, _: None, dy: jax.Array) -> tuple[jax.Array]:
    margin = WINDOW - 1
    padding = ((0, 0),) * (dy.ndim - 2) + ((margin, margin), (margin * c, margin * c))
    return (stored_on_cpu(_blur(jnp.pad(dy, padding), c)),)


_blur.defvjp(_blur_forward, _blur_backward)


def _halve(x: jax.Array) -> jax.Array:
    h, w = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    return mean_2x2(x)


def mean_2x2(x: jax.Array) -> jax.Array:
    """Means over blocks of 2x2 pixels; both sides even."""
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def _power(x: jax.Array, exponent: float) -> jax.Array:
    """x^exponent; zero, with zero gradient, where x is not positive."""
    positive = x > 0
    return jnp.where(positive, jnp.where(positive, x, 1.0) ** exponent, 0.0)


def _mean_over_positions(x: jax.Array) -> jax.Array:
    return jnp.mean(jnp.mean(stored_on_cpu(x), axis=2), axis=1)
