"""Collapse diagnostics for DRGN's first phase.

The losses have degenerate minima: the KL consistency is zero for any constant I_D (softmax) and for I_D,ref = I_D, in
which case I_B,ref = I_ref and ReG learns nothing from the synthetic half. Only D_low, with a weight of 1e-5, opposes
it.

    health/i_d                 mean of I_D: negative, since low images are dark
    health/i_d_contrast        its standard deviation over positions, relative to I_L's; 0: constant
    health/i_d_change          mean |I_D,ref - I_D| relative to mean |I_D|; 0: a copy
    health/low, low_ref        mean of I_L and of I_L,ref; equal if the synthetic images are as dark as the real ones
    health/y_low/.., y_ref/..  shares of pixels by Y, in octaves: up to 1/32, to 1/16, ... to 1
    health/y_distance          half the L1 distance between the two histograms of Y, 64 bins: 0 equal, 1 disjoint
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from ultrabm_jax.losses.divergence import soft_histogram
from ultrabm_jax.models.ultrabm.guidance import gray
from ultrabm_jax.typing import Metrics

OCTAVES = {"1-32": 1 / 32, "1-16": 1 / 16, "1-8": 1 / 8, "1-4": 1 / 4, "1-2": 1 / 2, "1": 1.0}
FLAT, COPY, BRIGHTNESS = 0.05, 0.05, 4.0


def health(low: jax.Array, low_ref: jax.Array, degradation: jax.Array, degradation_ref: jax.Array) -> Metrics:
    """The scalars above, of a batch of images (b, h, w, 3)."""
    distances = jnp.abs(degradation_ref - degradation).mean()
    metrics = {
        "i_d": degradation.mean(),
        "i_d_contrast": _contrast(degradation) / jnp.maximum(_contrast(low), 1e-6),
        "i_d_change": distances / jnp.maximum(jnp.abs(degradation).mean(), 1e-6),
        "low": low.mean(),
        "low_ref": low_ref.mean(),
        "y_distance": jnp.abs(_histogram(low) - _histogram(low_ref)).sum() / 2,
    }
    metrics |= {f"y_low/{octave}": share for octave, share in _octaves(low).items()}
    metrics |= {f"y_ref/{octave}": share for octave, share in _octaves(low_ref).items()}
    return {f"health/{name}": value for name, value in metrics.items()}


def collapse(scalars: Mapping[str, float]) -> dict[str, str]:
    """{kind: one line} for each collapse that the averages show; scalars that are missing are ignored."""
    contrast, change, low, low_ref = (
        scalars.get(f"health/{name}") for name in ("i_d_contrast", "i_d_change", "low", "low_ref")
    )
    found = {}
    if contrast is not None and contrast < FLAT:
        found["flat"] = f"DeG has collapsed to a constant degradation (its contrast is {contrast:.3f} of the image's)"
    if change is not None and change < COPY:
        found["copy"] = f"DeG copies: I_D,ref differs from I_D by {change:.3f} of it, so synthetic pairs teach nothing"
    if low is not None and low_ref is not None and not low / BRIGHTNESS < low_ref < low * BRIGHTNESS:
        found["brightness"] = f"synthetic low images have mean {low_ref:.3f}, real ones {low:.3f}"
    return {kind: f"{text}; see methods/drgn_diagnostics.py" for kind, text in found.items()}


def _contrast(x: jax.Array) -> jax.Array:
    return jnp.std(x, axis=(1, 2)).mean()


def _histogram(x: jax.Array) -> jax.Array:
    return soft_histogram(gray(x), span=(0.0, 1.0)).mean(axis=(0, 1))


def _octaves(x: jax.Array) -> dict[str, jax.Array]:
    y, shares, below = gray(x), {}, jnp.zeros(())
    for name, edge in OCTAVES.items():
        upto = jnp.mean(y <= edge) if edge < 1 else jnp.ones(())
        shares[name], below = upto - below, upto
    return shares
