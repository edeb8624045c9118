"""LoLiSRFlow's task: RGB to RGB; one restoration at temperature 0, samples at higher temperatures."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle
from ultrabm_jax.models.lolisrflow.likelihood import dequantise, quantisation_bits
from ultrabm_jax.models.task import Task, Variant, draw_noise
from ultrabm_jax.typing import Batch, HostBatch, Variables


class LoLiSRFlowTask(Task):
    """Beside `low`, batches may hold `equalised` (b, h, w, 3), cut from the equalised whole image, and `noise`."""

    @property
    def noise_channels(self) -> int:
        """One value for each value of the restored image."""
        return 3 * self.scale**2

    def example_input(self, side: int | None = None) -> jax.Array:
        """Its side defaults to the multiple to which the network pads, which is smaller than the grid of tiles."""
        return super().example_input(self.model.padding if side is None else side)

    def restore(self, variables: Variables, batch: Batch) -> jax.Array:
        """Without `noise`, the restoration at temperature 0."""
        noise = {"noise": pixel_shuffle(batch["noise"], self.scale)} if "noise" in batch else {}
        equalised = {"equalised": batch["equalised"]} if "equalised" in batch else {}
        restored = self.model.apply(variables, batch["low"], **noise, **equalised)["restored"]
        return jnp.clip(restored.astype(jnp.float32), 0, 1)

    def variants(self, options: ConfigDict) -> dict[str, Variant]:
        """Samples at each of eval.temperatures."""
        temperatures = options.get("temperatures", (0.0,))
        return {f"_t{t:g}" if i else "": partial(self._sampled, t) for i, t in enumerate(temperatures)}

    def bits_per_pixel(self, variables: Variables, low: jax.Array, restored: jax.Array, *, key: jax.Array) -> jax.Array:
        """As in training, with the default `loss.quantisation`; `key` draws the noise of dequantisation."""
        encoded = self.model.apply(variables, dequantise(key, jnp.asarray(restored)), low, method="encode")
        return encoded["nll"] + quantisation_bits()

    def _sampled(self, temperature: float, batch: HostBatch) -> HostBatch:
        """The first sample of seed 0 for each image."""
        low = batch["low"]
        noise = draw_noise(low.shape[1:3], self.noise_channels, temperature=temperature)
        return {"low": low, "noise": np.repeat(noise[None], len(low), axis=0)}
