"""How a degradation I_D and a clean image I form a low-light image I_L (`model.degradation`), and the inverse.

    additive         I_L = I + I_D            the paper's (equations 3 and 4)
    multiplicative   I_L = I exp(I_D)         ours: I_D is a map of log exposure, DeG(I_L) clipped to +-log 255
    exposure         I_L = I exp(I_D)         ours: I_D is its mean over the image and the channels, one value

A low-light image is mostly a scaled image: I_D = log(exposure) fits every scene, while the additive I_D = I_L - I
contains the scene itself, so that the I_D of one scene cannot darken another realistically. A map still shows objects
of its scene, and depends on the distance to the border; one value does not. It is one for all channels: with three,
the discriminator let synthetic images become green. No result is clipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ultrabm_jax.layers.clip_inward import clip_inward
from ultrabm_jax.typing import Array

LOG_RANGE = math.log(255)  # exposures from 1/255 to 255: an image of 8 bits has no others


class DegradationForm(NamedTuple):
    """`apply(I, I_D)` -> I_L and `remove(I_L, I_D)` -> I, for arrays (b, h, w, 3), and the range of I_D."""

    apply: Callable[[Array, Array], jax.Array]
    remove: Callable[[Array, Array], jax.Array]
    limit: Callable[[jax.Array], jax.Array]  # output of DeG -> I_D


def _expose(image: Array, degradation: Array) -> jax.Array:
    return jnp.multiply(image, jnp.exp(degradation))


def _unexpose(low: Array, degradation: Array) -> jax.Array:
    return jnp.multiply(low, jnp.exp(-degradation))


def _log_range(output: jax.Array) -> jax.Array:
    return clip_inward(output, -LOG_RANGE, LOG_RANGE)


def _mean(output: jax.Array) -> jax.Array:
    return output.mean(axis=(1, 2, 3), keepdims=True)


DEGRADATION_FORMS: Mapping[str, DegradationForm] = {
    "additive": DegradationForm(jnp.add, jnp.subtract, lambda output: output),
    "multiplicative": DegradationForm(_expose, _unexpose, _log_range),
    "exposure": DegradationForm(
        _expose, _unexpose, lambda output: jnp.broadcast_to(_log_range(_mean(output)), output.shape)
    ),
}
