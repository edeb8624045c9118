"""Samples from a network that models the distribution of restored images, their spread and their likelihood.

    y_i = F^-1(mean + temperature * n_i | low),   n_i ~ N(0, 1) of sample i

Noise is drawn for the whole image and cut into tiles with it, so that tiles agree where they overlap. Sample i of a
seed does not depend on the tiles, the devices or the other samples.
"""

from __future__ import annotations

import copy

import jax
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.models.task import Task, check_temperature, draw_noise
from ultrabm_jax.typing import Variables


class Sampler:
    """`sampler(low)`: float32 (h, w, 3) -> a sample, (s*h, s*w, 3) in [0, 1]; at temperature 0 the most likely one."""

    def __init__(
        self,
        task: Task,
        variables: Variables,
        *,
        temperature: float,
        tile: int | None = None,
        overlap: int | None = None,
    ) -> None:
        task.require_distribution()
        check_temperature(temperature)
        self.temperature = temperature
        self._restorer = Restorer(task, variables, tile=tile, overlap=overlap)
        self.expect = self._restorer.expect

    def at(self, temperature: float) -> Sampler:
        """A sampler at another temperature that shares this one's compiled programs."""
        check_temperature(temperature)
        other = copy.copy(self)
        other.temperature = temperature
        return other

    def __call__(self, low: np.ndarray, *, seed: int = 0, index: int = 0) -> np.ndarray:
        """Sample `index` of `seed`."""
        return self._restorer.restore(low, maps={"noise": self._noise(low, seed, index)})

    def many(self, lows: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """(b, h, w, 3) -> (b, s*h, s*w, 3): the first sample of each image, as a single call gives it."""
        return self._restorer.many(lows, maps={"noise": np.stack([self._noise(low, seed, 0) for low in lows])})

    def _noise(self, low: np.ndarray, seed: int, index: int) -> np.ndarray:
        channels = self._restorer.task.noise_channels
        return draw_noise(low.shape[:2], channels, temperature=self.temperature, seed=seed, index=index)


class Spread:
    """Running standard deviation of images of one size (Welford's algorithm), in the unit of their values."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: np.ndarray = np.zeros((), np.float32)
        self._squares: np.ndarray = np.zeros((), np.float32)

    def add(self, image: np.ndarray) -> None:
        """Adds one image, (h, w, c)."""
        self.count += 1
        apart = image - self._mean
        self._mean = self._mean + apart / self.count
        self._squares = self._squares + apart * (image - self._mean)

    def deviation(self) -> np.ndarray:
        """(h, w): root of the mean over the colours of the unbiased variance."""
        if self.count < 2:
            raise UserError(f"a standard deviation needs two samples or more, not {self.count}")
        return np.sqrt(np.mean(self._squares, axis=-1) / (self.count - 1)).astype(np.float32)


def likelihood(task: Task, variables: Variables, low: jax.Array, restored: jax.Array, *, key: jax.Array) -> jax.Array:
    """-log2 p(restored | low) per pixel, (b,), with the default quantisation of config.loss.

    low (b, h, w, 3) and restored (b, s h, s w, 3) in [0, 1]; `key` is for the noise of dequantisation. Raises UserError
    for a deterministic network.
    """
    return task.bits_per_pixel(variables, low, restored, key=key)
