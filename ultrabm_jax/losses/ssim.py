"""Structural similarity as a loss, one value per example (b,): window and constants of metrics/ssim.py, values 0 to 1.

Its gradient is finite everywhere, zero on identical images; flat images have no division by zero (K1, K2).
"""

from __future__ import annotations

import jax

from ultrabm_jax.metrics.ssim import ssim


def ssim_loss(restored: jax.Array, reference: jax.Array) -> jax.Array:
    """1 - SSIM of (b, h, w, c), at least 11 pixels a side; restored may leave [0, 1]."""
    return 1 - ssim(restored, reference)
