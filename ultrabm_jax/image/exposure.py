"""Exposure of an image, in linear light."""

from __future__ import annotations

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.colour import linear_from_srgb, srgb_from_linear

MAX_STOPS = 20.0


def check_stops(stops: float) -> None:
    """Raises UserError for more than 20 stops either way."""
    if not abs(stops) <= MAX_STOPS:
        raise UserError(f"an exposure is a number of stops from {-MAX_STOPS:g} to {MAX_STOPS:g}, not {stops}")


def expose(rgb: np.ndarray, stops: float) -> np.ndarray:
    """sRGB values in [0, 1] with their linear light multiplied by 2**stops and clipped at white, float32.

    At 0 stops the values are returned unchanged. Raises UserError for more than 20 stops either way.
    """
    check_stops(stops)
    if stops == 0:
        return rgb
    light = linear_from_srgb(np.asarray(rgb, np.float32)) * np.float32(2.0**stops)
    return np.asarray(srgb_from_linear(np.minimum(light, np.float32(1))), np.float32)
