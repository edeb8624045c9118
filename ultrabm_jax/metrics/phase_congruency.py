"""Phase congruency (Kovesi 1999) with FSIM's constants, per image.

Log-Gabor filters of 4 scales (wavelengths 6, 12, 24, 48 pixels) and 4 orientations in the Fourier domain; the real and
imaginary parts are the even and odd responses. Per orientation, the energy along the mean phase minus the energy
expected from noise, which is estimated from the median response at the finest scale. Phase congruency is the sum of the
energies over the sum of the amplitudes: 0 (no feature) to 1.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

SCALES, ORIENTATIONS = 4, 4
SHORTEST, STEP, BANDWIDTH = 6, 2, 0.55
ANGULAR = np.pi / ORIENTATIONS / 1.2
CUTOFF, ORDER = 0.45, 15  # of the low-pass filter that removes the corners of the spectrum
NOISE, SOFTENING, EPS = 2.0, 1.7, 1e-4

Pair = tuple[jax.Array, jax.Array]


def phase_congruency(gray: jax.Array) -> jax.Array:
    """(b, h, w) with values 0..255 -> (b, h, w) in [0, 1]; 0 where the image is flat."""
    filters = _filters(gray.shape[1], gray.shape[2])
    spectrum = jnp.fft.fft2(gray)

    def add(total: Pair, orientation: Pair) -> tuple[Pair, None]:
        bank, noise = orientation
        response = jnp.fft.ifft2(spectrum[:, None] * bank)  # (b, scales, h, w)
        size = jnp.abs(response)
        energy = jax.nn.relu(_energy(response) - (noise * _noise_strength(size[:, 0]))[:, None, None])
        return (total[0] + energy, total[1] + jnp.sum(size, axis=1)), None

    # A scan needs a third of the memory; parallel transforms compete for threads and are slower
    # (docs/log/benchmarks.md).
    zeros = jnp.zeros_like(gray)
    orientations = (jnp.asarray(filters), jnp.asarray(_noise_energies(filters)))
    (energy, amplitude), _ = jax.lax.scan(add, (zeros, zeros), orientations)
    positive = amplitude > 0
    return jnp.where(positive, energy / jnp.where(positive, amplitude, 1.0), 0.0)


def _energy(response: jax.Array) -> jax.Array:
    """Sum over scales of the component along the mean phase minus the component across it, (b, h, w)."""
    even, odd = jnp.real(response), jnp.imag(response)
    mean_even, mean_odd = jnp.sum(even, axis=1, keepdims=True), jnp.sum(odd, axis=1, keepdims=True)
    length = jnp.sqrt(mean_even**2 + mean_odd**2) + EPS
    mean_even, mean_odd = mean_even / length, mean_odd / length
    return jnp.sum(even * mean_even + odd * mean_odd - jnp.abs(even * mean_odd - odd * mean_even), axis=1)


def _noise_strength(finest: jax.Array) -> jax.Array:
    """Noise strength of each image, (b,), from the amplitudes at the finest scale.

    The squared response to noise is exponentially distributed, so its mean is its median / ln 2.
    """
    return jnp.sqrt(median(jnp.square(finest).reshape(len(finest), -1)) / np.log(2))


def _noise_energies(filters: np.ndarray) -> np.ndarray:
    """The energy that noise of strength 1 rarely exceeds, for each orientation, (orientations,) float32."""
    kernels = np.real(np.fft.ifft2(filters)) * np.sqrt(filters[0, 0].size)
    tau = np.sqrt(np.sum(np.sum(kernels, axis=1) ** 2, axis=(1, 2)) / np.sum(filters[:, 0] ** 2, axis=(1, 2)))
    return (tau * (np.sqrt(np.pi / 2) + NOISE * np.sqrt(2 - np.pi / 2)) / SOFTENING).astype(np.float32)


def median(x: jax.Array) -> jax.Array:
    """Exact median over the last axis of non-negative (b, n), (b,), in 31 counting passes instead of a slow sort.

    Non-negative floats are ordered as their bits are as integers, so the value of a given rank is found bit by bit.
    """
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)
    rank = (x.shape[-1] - 1) // 2

    def next_bit(i: int, found: jax.Array) -> jax.Array:
        trial = found | (1 << (30 - i))
        return jnp.where(jnp.sum(bits < trial[:, None], axis=-1) <= rank, trial, found)

    lower = jax.lax.fori_loop(0, 31, next_bit, jnp.zeros(len(x), jnp.int32))
    if x.shape[-1] % 2:
        return jax.lax.bitcast_convert_type(lower, jnp.float32)
    above = jnp.min(jnp.where(bits > lower[:, None], bits, np.iinfo(np.int32).max), axis=-1)
    upper = jnp.where(jnp.sum(bits <= lower[:, None], axis=-1) > rank + 1, lower, above)
    lower, upper = (jax.lax.bitcast_convert_type(middle, jnp.float32) for middle in (lower, upper))
    return (lower + upper) / 2


@functools.lru_cache(maxsize=8)
def _filters(h: int, w: int) -> np.ndarray:
    """One-sided filters, (orientations, scales, h, w) float32, zero frequency first."""
    y, x = np.meshgrid(_frequencies(h), _frequencies(w), indexing="ij")
    radius = np.hypot(x, y)
    radius[0, 0] = 1
    low_pass = 1 / (1 + (radius / CUTOFF) ** (2 * ORDER))
    angle = np.arctan2(-y, x)
    radial = []
    for scale in range(SCALES):
        band = np.exp(-(np.log(radius * SHORTEST * STEP**scale) ** 2) / (2 * np.log(BANDWIDTH) ** 2)) * low_pass
        band[0, 0] = 0
        radial.append(band)
    spread = []
    for orientation in range(ORIENTATIONS):
        rotated = angle - orientation * np.pi / ORIENTATIONS
        distance = np.abs(np.arctan2(np.sin(rotated), np.cos(rotated)))
        spread.append(np.exp(-(distance**2) / (2 * ANGULAR**2)))
    return (np.stack(spread)[:, None] * np.stack(radial)).astype(np.float32)


def _frequencies(side: int) -> np.ndarray:
    """-1/2 to 1/2, zero first; an odd side includes both ends, as in the authors' code."""
    if side % 2:
        return np.fft.ifftshift(np.arange(-(side // 2), side // 2 + 1) / max(side - 1, 1))
    return np.fft.ifftshift(np.arange(-side // 2, side // 2) / side)
