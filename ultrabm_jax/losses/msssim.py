"""Structural similarity at five scales as a loss, one value per example (b,).

As RED trains (Lamba and Mitra 2021; the released code uses pytorch-msssim): window, constants and scale weights of
metrics/ssim.py, values 0 to 1, both sides above 160 pixels. The paper weighs L1 0.8 and this 0.2, the code 1 and 0.2.

Where a side is odd, pytorch-msssim pads zeros on both ends before it halves, and counts them in; the metric repeats the
last sample, as MATLAB. With even sides at every scale, 512 say, the two are the same.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.metrics.ssim import ms_ssim


def ms_ssim_loss(restored: jax.Array, reference: jax.Array) -> jax.Array:
    """1 - MS-SSIM of (b, h, w, c); restored may leave [0, 1]."""
    return 1 - ms_ssim(restored, reference, halve=_halve)


def _halve(x: jax.Array) -> jax.Array:
    """2x2 means; an odd side first gets a zero at both ends, and the last sample that has no partner is left out."""
    x = jnp.pad(x, ((0, 0), *((side % 2, side % 2) for side in x.shape[1:3]), (0, 0)))
    h, w = (side // 2 * 2 for side in x.shape[1:3])
    x = x[:, :h, :w]
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
