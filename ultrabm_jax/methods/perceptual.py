"""The perceptual term of a training loss: `loss.perceptual`, `loss.lambda_p` and the variables of its network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from ml_collections import ConfigDict

from ultrabm_jax.backbones.pretrained import load_extractor
from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.perceptual import DEPTHS, perceptual_loss
from ultrabm_jax.models import create_model
from ultrabm_jax.typing import PyTree


class PerceptualTerm:
    """L_P of a config (losses/perceptual.py); its network is part of the frozen variables if `used`.

    `used` says whether one of the fields `weights` of config.loss is not zero. Raises UserError for an unknown network.
    """

    def __init__(self, config: ConfigDict, *, weights: tuple[str, ...] = ("lambda_p",)) -> None:
        self.network: str = config.loss.perceptual
        if self.network not in DEPTHS:
            raise UserError(f"unknown loss.perceptual {self.network!r}; known: {', '.join(DEPTHS)}")
        self.used = any(config.loss[name] for name in weights)
        self._folder: str | None = config.data.assets or None

    def frozen(self) -> dict[str, PyTree]:
        """{"perceptual": variables}, or {} if it is not used. Raises MissingAsset for a missing weight file."""
        return {"perceptual": load_extractor(self.network, folder=self._folder)} if self.used else {}

    def frozen_shapes(self, image: jax.Array) -> dict[str, PyTree]:
        """Shapes of what `frozen` returns; reads no file. `image` is any input (b, h, w, 3)."""
        if not self.used:
            return {}
        return {"perceptual": jax.eval_shape(create_model(self.network).init, jax.random.key(0), image)}

    def __call__(
        self, frozen: PyTree, restored: jax.Array, reference: jax.Array, *, dtype: DTypeLike = jnp.float32
    ) -> jax.Array:
        """L_P of each example, (b,), for images (b, h, w, 3) in [0, 1]."""
        return perceptual_loss(frozen["perceptual"], restored, reference, network=self.network, dtype=dtype)
