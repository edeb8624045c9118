"""Synthetic darkness: the image that a camera would have recorded with less light and larger pixels.

    reference (s*h, s*w, 3) uint8 sRGB
      -> linear light by the inverse sRGB curve
      -> mean of each s x s block (a sensor pixel adds up the light that falls on it)
      -> x * 2**ev
      -> N(x, shot * x + read)                   the Gaussian form of Poisson-Gaussian sensor noise
      -> clip to [0, 1], sRGB curve, `bits` bits -> low (h, w, 3) uint8

The formulas are written once for NumPy and JAX (`xp`). The host draws from a NumPy generator (`draw_darkness`,
`darken`), the device from a JAX key (`draw_darkness_on_device`, `darken_on_device`).

Sources: exposure range, RELLISUR (Aakerberg et al. 2021). Noise model, Foi et al. 2008 ("Practical
Poissonian-Gaussian noise modeling"), in its Gaussian approximation. Noise levels, Brooks et al. 2019 ("Unprocessing"),
section 3.1: log(shot) uniform, log(read) = 2.18 log(shot) + 1.20 + N(0, 0.26), natural logarithms, both variances for
signals in [0, 1]; their shot noise reaches 0.012, ours 0.001 by default because at -5 EV the signal is 1/32.
Deviations from Brooks et al.: no mosaic, colour matrix or white balance, so the noise is spatially white and
independent between the channels; the tone curve is sRGB's alone.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.colour import linear_from_srgb, srgb_from_linear
from ultrabm_jax.typing import ArrayT

Scalar = TypeVar("Scalar", float, jax.Array)
Variance: TypeAlias = float | np.float32 | jax.Array


class Darkness(NamedTuple):
    """An exposure and a noise level; signals are in [0, 1]."""

    ev: float | jax.Array  # stops, below 0 is darker
    shot: float | jax.Array  # variance per unit of signal
    read: float | jax.Array  # variance


def check_darkness(options: ConfigDict) -> None:
    """Raises `UserError` for values of config.data.darkness that have no meaning."""
    for name in ("ev", "shot_noise"):
        low, high = options[name]
        if low > high:
            raise UserError(f"data.darkness.{name}={low, high}: the first must not be larger than the second")
    if options.shot_noise[0] <= 0:
        raise UserError(f"data.darkness.shot_noise={tuple(options.shot_noise)}: both must be positive")
    if not 1 <= options.bits <= 8:
        raise UserError(f"data.darkness.bits={options.bits} must be 1 to 8")


def draw_darkness(options: ConfigDict, rng: np.random.Generator) -> Darkness:
    """One exposure and one noise level from the ranges of config.data.darkness."""
    return _draw(options, (rng.uniform, rng.uniform, rng.standard_normal), xp=np)


def draw_darkness_on_device(key: jax.Array, options: ConfigDict) -> Darkness:
    """`draw_darkness` from a JAX key; the values are traced scalars."""
    ev_key, shot_key, read_key = jax.random.split(key, 3)

    def uniform(key: jax.Array) -> Callable[[float, float], jax.Array]:
        return lambda low, high: jax.random.uniform(key, minval=low, maxval=high)

    return _draw(options, (uniform(ev_key), uniform(shot_key), lambda: jax.random.normal(read_key)), xp=jnp)


def darken(reference: np.ndarray, darkness: Darkness, *, scale: int, bits: int, rng: np.random.Generator) -> np.ndarray:
    """(s*h, s*w, 3) uint8 -> (h, w, 3) uint8 with at most 2**bits levels."""
    light = block_mean(_LINEAR_OF_BYTE[reference], scale)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    ev, shot, read = darkness
    exposed = light * np.float32(2.0**ev)
    return quantise(_recorded(exposed, noise, np.float32(shot), np.float32(read), xp=np), bits)


def darken_on_device(key: jax.Array, reference: jax.Array, options: ConfigDict, *, scale: int) -> jax.Array:
    """(s*h, s*w, 3) uint8 -> (h, w, 3) uint8: exposure and noise drawn from the ranges of config.data.darkness."""
    draw_key, noise_key = jax.random.split(key)
    ev, shot, read = draw_darkness_on_device(draw_key, options)
    light = block_mean(linear_from_srgb(reference.astype(jnp.float32) / 255, xp=jnp), scale)
    noise = jax.random.normal(noise_key, light.shape)
    return quantise(_recorded(light * 2.0**ev, noise, shot, read, xp=jnp), options.bits, xp=jnp)


def block_mean(image: ArrayT, scale: int) -> ArrayT:
    """(s*h, s*w, c) -> (h, w, c)."""
    height, width, channels = image.shape
    return image.reshape(height // scale, scale, width // scale, scale, channels).mean(axis=(1, 3))


def quantise(value: ArrayT, bits: int, *, xp: ModuleType = np) -> ArrayT:
    """[0, 1] -> the nearest of 2**bits evenly spaced levels, as uint8."""
    top = 2**bits - 1
    levels: ArrayT = xp.rint(xp.rint(value * top) * (255 / top)).astype(xp.uint8)
    return levels


def _draw(options: ConfigDict, draws: tuple[Callable[..., Scalar], ...], *, xp: ModuleType) -> Darkness:
    """draws: uniform(low, high) of the exposure, uniform(low, high) of log(shot), a standard normal of log(read)."""
    uniform_ev, uniform_shot, normal = draws
    ev = uniform_ev(*options.ev)
    log_shot = uniform_shot(*(xp.log(value) for value in options.shot_noise))
    log_read = options.read_noise_slope * log_shot + options.read_noise_offset + options.read_noise_sigma * normal()
    return Darkness(ev, xp.exp(log_shot), xp.exp(log_read))


def _recorded(light: ArrayT, noise: ArrayT, shot: Variance, read: Variance, *, xp: ModuleType) -> ArrayT:
    """Noisy sRGB values in [0, 1] of exposed linear light; `noise` is standard normal."""
    noisy = light + noise * xp.sqrt(shot * light + read)
    return srgb_from_linear(xp.clip(noisy, 0.0, 1.0), xp=xp)


_LINEAR_OF_BYTE = linear_from_srgb(np.arange(256) / 255).astype(np.float32)
