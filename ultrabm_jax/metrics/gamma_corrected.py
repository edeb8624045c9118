"""Metrics against the best gamma-corrected reference GT^g (RED, Table 2), per image, in float64 on the host.

Without the exposure, the right brightness of a restored image is unknown, so RED also compares it with the power of the
reference that fits best: g maximises PSNR over a grid, RED's by default. Both images are 8-bit; GT^g = 255 (GT/255)^g
is rounded only if `rounded`. If the grid contains 1, the value is never below psnr_rgb.

The squared errors of all g are computed at once: pixels and channels whose reference is v have a mean m_v and a spread
around it that do not depend on g, so only n_v (m_v - v^g)^2 varies, over 256 levels instead of all pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.host import joint_histogram, per_image, to_uint8
from ultrabm_jax.metrics.ssim import ssim
from ultrabm_jax.typing import Array

RED_GAMMAS = tuple(np.round(0.70 + 0.03 * np.arange(21), 2).tolist())
LEVELS = np.arange(256, dtype=np.float64)


def psnr_gtgc(
    restored: Array, reference: Array, *, gammas: Sequence[float] = RED_GAMMAS, rounded: bool = False
) -> np.ndarray:
    """PSNR in dB against the GT^g of the best PSNR, (b,)."""
    curves = _curves(gammas, rounded)

    def best(a: np.ndarray, b: np.ndarray) -> float:
        with np.errstate(divide="ignore"):
            return float(10 * np.log10(255**2 / _squared_errors(a, b, curves).min()))

    return per_image(best, to_uint8(restored), to_uint8(reference))


def ssim_gtgc(
    restored: Array, reference: Array, *, gammas: Sequence[float] = RED_GAMMAS, rounded: bool = False
) -> np.ndarray:
    """SSIM of RGB against the GT^g of the best PSNR, (b,)."""
    a, b = to_uint8(restored), to_uint8(reference)
    chosen = _curves(best_gamma(a, b, gammas=gammas, rounded=rounded).tolist(), rounded)
    corrected = [curve[image] for curve, image in zip(chosen, b, strict=True)]
    return np.asarray(_ssim(a.astype(np.float32), np.stack(corrected).astype(np.float32)), np.float64)


def best_gamma(
    restored: Array, reference: Array, *, gammas: Sequence[float] = RED_GAMMAS, rounded: bool = False
) -> np.ndarray:
    """The g that psnr_gtgc chooses, (b,); the first of equal ones."""
    curves = _curves(gammas, rounded)
    errors = [_squared_errors(a, b, curves) for a, b in zip(to_uint8(restored), to_uint8(reference), strict=True)]
    return np.asarray(gammas, np.float64)[np.argmin(errors, axis=-1)]


_ssim = jax.jit(lambda a, b: ssim(a, b, peak=255.0))


def _curves(gammas: Sequence[float], rounded: bool) -> np.ndarray:
    """Each g applied to the levels 0..255, (g, 256)."""
    exponents = np.asarray(gammas, np.float64)
    if exponents.ndim != 1 or not exponents.size or not (exponents > 0).all():
        raise UserError(f"gammas must be a list of positive numbers, got {gammas!r}")
    curves = 255 * (LEVELS / 255) ** exponents[:, None]
    curves[exponents == 1] = LEVELS  # exact: identical images give inf
    return np.rint(curves) if rounded else curves


def _squared_errors(a: np.ndarray, b: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Mean squared error of the uint8 image a against each curve of b, (g,)."""
    joint = joint_histogram(b, a)
    count = joint.sum(axis=1)
    mean = joint @ LEVELS / np.maximum(count, 1)
    spread = np.sum(joint * (LEVELS - mean[:, None]) ** 2)
    return (spread + (mean - curves) ** 2 @ count) / a.size
