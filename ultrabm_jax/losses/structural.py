"""SSIM and MS-SSIM as losses, one value per example (b,), of images (b, h, w, c) with values 0 to 1.

Window, constants and scale weights are those of metrics/ssim.py. Gradients are finite everywhere and zero on identical
images; K1 and K2 prevent a division by zero on flat images. The restored image may have values outside [0, 1].
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultrabm_jax.metrics.ssim import mean_2x2, ms_ssim, ssim


def ssim_loss(restored: jax.Array, reference: jax.Array) -> jax.Array:
    """1 - SSIM. Each side needs at least 11 pixels."""
    return 1 - ssim(restored, reference)


def ms_ssim_loss(restored: jax.Array, reference: jax.Array) -> jax.Array:
    """1 - MS-SSIM over five scales, as in RED's training. Each side needs at least 161 pixels.

    RED's released code (Lamba and Mitra 2021) uses pytorch-msssim. It differs from the metric where a side is odd:
    pytorch-msssim pads both ends with zeros before it halves the image, the metric repeats the last sample as MATLAB
    does. The two are equal where the sides are even at every scale, as with 512 pixels. The paper weights L1 by 0.8
    and this loss by 0.2, the code by 1 and 0.2.
    """
    return 1 - ms_ssim(restored, reference, halve=_halve_zero_padded)


def _halve_zero_padded(x: jax.Array) -> jax.Array:
    """2x2 means; an odd side is first padded with a zero at both ends, and the unpaired last sample is dropped."""
    x = jnp.pad(x, ((0, 0), *((side % 2, side % 2) for side in x.shape[1:3]), (0, 0)))
    h, w = (side // 2 * 2 for side in x.shape[1:3])
    return mean_2x2(x[:, :h, :w])
