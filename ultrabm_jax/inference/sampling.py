"""Restorations drawn from a model of their distribution (LoLiSRFlow): samples, how far apart they are, likelihood.

    y_i = F^-1(mean + temperature * n_i | low),   n_i ~ N(0, 1) of sample i

Noise belongs to a place of the image and not of a tile: it is drawn for the whole image and cut with it, so that
tiles agree where they overlap. Sample i of a seed is the same whatever the tiles, the devices and the other samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.restorer import OVERLAP, make_restorer
from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle
from ultrabm_jax.models.lolisrflow.likelihood import dequantise, quantisation_bits
from ultrabm_jax.models.lolisrflow.network import LoLiSRFlow


class Sampler:
    """`sampler(low)`: float32 (h, w, 3) -> a sample, (s*h, s*w, 3) in [0, 1]; its most likely one at temperature 0."""

    def __init__(
        self,
        model: nn.Module,
        variables: Mapping[str, Any],
        *,
        temperature: float,
        tile: int | None = None,
        overlap: int = OVERLAP,
    ) -> None:
        require_distribution(model)
        if not 0 <= temperature < np.inf:
            raise UserError(f"a temperature is a number, 0 or more, not {temperature}")
        self.temperature = temperature
        self._noise_channels = 3 * model.scale**2
        channels = 3 + self._noise_channels
        self._restorer = make_restorer(_WithNoise(model), variables, tile=tile, overlap=overlap, channels=channels)

    def __call__(self, low: np.ndarray, *, seed: int = 0, index: int = 0) -> np.ndarray:
        """Sample `index` of `seed`."""
        return self._restorer(self._packed(low, seed, index))

    def many(self, lows: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """(b, h, w, 3) -> (b, s*h, s*w, 3): the first sample of each image, as a call of its own would give it."""
        return self._restorer.many(np.stack([self._packed(low, seed, 0) for low in lows]))

    def _packed(self, low: np.ndarray, seed: int, index: int) -> np.ndarray:
        if low.ndim != 3 or low.shape[-1] != 3:
            raise UserError(f"an image has the shape (height, width, 3), not {low.shape}")
        shape = (*low.shape[:2], self._noise_channels)
        noise = np.random.default_rng((seed, index)).standard_normal(shape, np.float32)
        return np.concatenate([low, self.temperature * noise], axis=-1, dtype=np.float32)


@dataclasses.dataclass(frozen=True)
class _WithNoise:
    """A model of one input (b, h, w, 3 + 3 s^2): the image, and its noise with the pixels of s x s as channels."""

    model: LoLiSRFlow

    def apply(self, variables: Mapping[str, Any], packed: jax.Array, **options: Any) -> Any:
        low, noise = packed[..., :3], pixel_shuffle(packed[..., 3:], self.model.scale)
        return self.model.apply(variables, low, noise=noise, **options)


class Spread:
    """Standard deviation of images of one size that come one by one (Welford's sums), in the unit of their values."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: np.ndarray = np.zeros((), np.float32)
        self._squares: np.ndarray = np.zeros((), np.float32)

    def add(self, image: np.ndarray) -> None:
        """(h, w, c)."""
        self.count += 1
        apart = image - self._mean
        self._mean = self._mean + apart / self.count
        self._squares = self._squares + apart * (image - self._mean)

    def deviation(self) -> np.ndarray:
        """(h, w): root of the mean over the colours of the unbiased variance."""
        if self.count < 2:
            raise UserError(f"a standard deviation needs two samples or more, not {self.count}")
        return np.sqrt(np.mean(self._squares, axis=-1) / (self.count - 1)).astype(np.float32)


def likelihood(
    model: nn.Module, variables: Mapping[str, Any], low: jax.Array, restored: jax.Array, *, key: jax.Array
) -> jax.Array:
    """-log2 p(restored | low) / pixels, (b,): bits per pixel as in training, with the defaults of config.loss.

    low (b, h, w, 3) and restored (b, s h, s w, 3) in [0, 1]; `key` for the noise of dequantisation.
    """
    require_distribution(model)
    encoded: Any = model.apply(variables, dequantise(key, jnp.asarray(restored)), low, method="encode")
    return encoded["nll"] + quantisation_bits()


def require_distribution(model: nn.Module) -> None:
    """Raises UserError for a network that gives one restoration."""
    if not isinstance(model, LoLiSRFlow):
        raise UserError(f"{type(model).__name__} gives one restoration; temperature and samples are of lolisrflow")
