"""Poisson-Gaussian noise of a sensor in raw units (DN), by ISO.

    electrons ~ Poisson(signal / gain)                       signal: expected DN above black
    raw = clip(round(black + gain * electrons + N(0, read^2)), 0, white)

so the variance is gain * signal + read^2, plus 1/12 of rounding. Model: Wei et al., CVPR 2020 ("A Physics-Based Noise
Formation Model for Extreme Low-Light Raw Denoising"), its Poisson and Gaussian parts. Parameters: the Sony a7S II
(SID's camera) as calibrated by Feng et al., ACM MM 2022 ("Learnability Enhancement for Low-Light Raw Denoising"),
released in megvii-research/PMN, data_process/process.py, get_camera_noisy_params_max: gain `Kmax`, which is
proportional to ISO, and read noise `sigGs` at every doubling from ISO 100, and at ISO 2000, where the sensor switches
to its second conversion gain.

Deviations: between the table's ISOs the read noise is interpolated in logarithms; there is no row noise, no
Tukey-lambda tails and no dark current. Other sensors get the a7S II's noise, scaled to their range from black to white;
the smaller pixels of SID's X-T2 are noisier than that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrabm_jax.errors import UserError

SOURCE = "Sony a7S II, Feng et al. 2022 (PMN), Poisson-Gaussian part"
SPAN = 16383 - 512  # DN from black to white of the calibrated camera
GAIN_PER_ISO = 9.563e-4  # DN per electron and ISO
READ_LOW = {100: 1.0067395, 200: 1.2926387, 400: 2.0595572, 800: 3.5475867, 1600: 6.29925}
READ_HIGH = {2000: 2.653871, 3200: 3.9193838, 6400: 7.1163535, 12800: 14.245901, 25600: 25.853043}


@dataclass(frozen=True)
class SensorNoise:
    """gain: DN per electron; read: standard deviation in DN."""

    gain: float
    read: float


def sensor_noise(iso: float, *, span: float = SPAN) -> SensorNoise:
    """The noise at an ISO from 100 to 25600 of a sensor with `span` DN from black to white."""
    table = READ_LOW if iso < min(READ_HIGH) else READ_HIGH
    if not min(READ_LOW) <= iso <= max(READ_HIGH):
        raise UserError(f"ISO {iso:g}: the noise model covers ISO {min(READ_LOW)} to {max(READ_HIGH)}")
    read = np.exp(np.interp(np.log(iso), np.log(list(table)), np.log(list(table.values()))))
    return SensorNoise(GAIN_PER_ISO * iso * span / SPAN, float(read) * span / SPAN)


def expose(
    signal: np.ndarray, *, black: float, white: float, noise: SensorNoise | None, rng: np.random.Generator
) -> np.ndarray:
    """Expected DN above black -> uint16 raw values with noise, or without any for `noise=None`."""
    if noise is not None:
        electrons = rng.poisson(signal / noise.gain)
        signal = noise.gain * electrons + rng.normal(0, noise.read, signal.shape)
    return np.clip(np.rint(black + signal), 0, white).astype(np.uint16)
