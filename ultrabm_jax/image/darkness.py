"""Synthetic darkness: what a camera would have recorded with less light and larger pixels.

    reference (s*h, s*w, 3) uint8 sRGB
      -> linear light by the inverse sRGB curve
      -> mean of each s x s block (a sensor pixel adds up the light that falls on it)
      -> x * 2**ev
      -> N(x, shot * x + read)                   the Gaussian form of Poisson-Gaussian sensor noise
      -> clip to [0, 1], sRGB curve, `bits` bits -> low (h, w, 3) uint8

Sources: exposure range, RELLISUR (Aakerberg et al. 2021). Noise model, Foi et al. 2008 ("Practical
Poissonian-Gaussian noise modeling"), in its Gaussian approximation. Noise levels, Brooks et al. 2019 ("Unprocessing"),
section 3.1: log(shot) uniform, log(read) = 2.18 log(shot) + 1.20 + N(0, 0.26), natural logarithms, both variances for
signals in [0, 1]; their shot noise reaches 0.012, ours 0.001 by default because at -5 EV the signal is 1/32.
Deviations from Brooks et al.: no mosaic, colour matrix or white balance, so the noise is white in space and
independent between the channels; the tone curve is sRGB's alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError


@dataclass(frozen=True)
class Darkness:
    """ev: stops, below 0 is darker; shot: variance per unit of signal; read: variance. Signals are in [0, 1]."""

    ev: float
    shot: float
    read: float


def check_darkness(options: Any) -> None:
    """Refuses parameters without a meaning (`options` is config.data.darkness)."""
    for name in ("ev", "shot_noise"):
        low, high = options[name]
        if low > high:
            raise UserError(f"data.darkness.{name}={low, high}: the first must not be larger than the second")
    if options.shot_noise[0] <= 0:
        raise UserError(f"data.darkness.shot_noise={tuple(options.shot_noise)}: both must be positive")
    if not 1 <= options.bits <= 8:
        raise UserError(f"data.darkness.bits={options.bits} must be 1 to 8")


def draw_darkness(options: Any, rng: np.random.Generator) -> Darkness:
    """One exposure and one noise level from the ranges of config.data.darkness."""
    ev = rng.uniform(*options.ev)
    log_shot = rng.uniform(*np.log(options.shot_noise))
    log_read = rng.normal(options.read_noise_slope * log_shot + options.read_noise_offset, options.read_noise_sigma)
    return Darkness(float(ev), float(np.exp(log_shot)), float(np.exp(log_read)))


def darken(reference: np.ndarray, darkness: Darkness, *, scale: int, bits: int, rng: np.random.Generator) -> np.ndarray:
    """(s*h, s*w, 3) uint8 -> (h, w, 3) uint8 with at most 2**bits levels."""
    light = block_mean(_LINEAR_OF_BYTE[reference], scale) * np.float32(2.0**darkness.ev)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    light = light + noise * np.sqrt(np.float32(darkness.shot) * light + np.float32(darkness.read))
    return quantise(srgb_from_linear(np.clip(light, 0.0, 1.0)), bits)


def block_mean(image: np.ndarray, scale: int) -> np.ndarray:
    """(s*h, s*w, c) -> (h, w, c)."""
    height, width, channels = image.shape
    return image.reshape(height // scale, scale, width // scale, scale, channels).mean(axis=(1, 3))


def linear_from_srgb(value: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, [0, 1] -> [0, 1]."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(light: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, [0, 1] -> [0, 1]."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def quantise(value: np.ndarray, bits: int) -> np.ndarray:
    """[0, 1] -> the nearest of 2**bits even levels, as uint8."""
    top = 2**bits - 1
    return np.rint(np.rint(value * top) * (255 / top)).astype(np.uint8)


_LINEAR_OF_BYTE = linear_from_srgb(np.arange(256) / 255).astype(np.float32)
