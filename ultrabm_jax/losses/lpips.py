"""LPIPS v0.1 (Zhang et al. 2018) as a loss, one value per example (b,), on images (b, h, w, 3) in [0, 1].

The same function as the metric, without rounding to 8 bit. Its gradient is finite everywhere: the length of a feature
vector of zeros, which black images have, gets no gradient instead of an infinite one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from ultrabm_jax.metrics.lpips import lpips


def lpips_loss(
    variables: Mapping[str, Any], restored: jax.Array, reference: jax.Array, *, network: str = "vgg"
) -> jax.Array:
    """`variables` of `weights.pretrained.load_lpips(network)`, network "alex" or "vgg"; constant in the reference."""
    return lpips(variables, restored, jax.lax.stop_gradient(reference), network=network)
