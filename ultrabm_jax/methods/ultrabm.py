"""UltraBM's training: one network, four losses, pairs of low and reference images.

    L = lambda_sl L_SL + lambda_is L_IS + lambda_r L_R + lambda_p L_P

Source: UltraBM equations 6 and 7 and the released UltraIS code; the weights are in config.loss. A loss of weight zero
is not computed. With one stream (Table 4) there is no illumination, and L_SL and L_IS do not apply.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ultrabm_jax.backbones.pretrained import load_extractor
from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.losses.retinex import hinged_luminance, illumination_smoothness, self_regularised_luminance
from ultrabm_jax.methods.base import SingleNetwork, Terms
from ultrabm_jax.methods.mixup import mixup
from ultrabm_jax.methods.perceptual import PerceptualTerm
from ultrabm_jax.typing import Batch, Params, PyTree

SEMANTIC_INIT = ("pretrained", "random")  # random: for tests


class UltraBMMethod(SingleNetwork):
    """UltraBM on pairs {"low": (b, h, w, 3), "reference": (b, s h, s w, 3)} in [0, 1].

    With `model.input_maps`, "equalised" (b, h, w, 3), from config.data.extra_inputs, is cut from the equalised whole
    image; without it, the patch itself is equalised.
    """

    def __init__(self, config: ConfigDict) -> None:
        if (init := config.model.semantic_init) not in SEMANTIC_INIT:
            raise UserError(f"unknown model.semantic_init {init!r}; known: {', '.join(SEMANTIC_INIT)}")
        super().__init__(config)
        self.perceptual = PerceptualTerm(config)

    def frozen(self, key: jax.Array) -> dict[str, PyTree]:
        """The semantic extractor and the network of the perceptual loss. Raises MissingAsset for a missing file."""
        folder = self.config.data.assets or None
        frozen: dict[str, PyTree] = {}
        if self.model.has_semantic and self.config.model.semantic_init == "pretrained":
            frozen["model"] = {"semantic": load_extractor(self.model.semantic, folder=folder)}
        elif self.model.has_semantic:
            frozen["model"] = self.model.init(key, self.task.example_input())["frozen"]
        return frozen | self.perceptual.frozen()

    def frozen_shapes(self) -> dict[str, PyTree]:
        key, image, shapes = jax.random.key(0), self.task.example_input(), {}
        if self.model.has_semantic:
            shapes["model"] = jax.eval_shape(self.model.init, key, image)["frozen"]
        return shapes | self.perceptual.frozen_shapes(image)

    def augment(self, key: jax.Array, batch: Batch) -> Batch:
        train = self.config.train
        return mixup(key, batch, probability=train.mixup_probability, alpha=train.mixup_alpha)

    def terms(self, params: Params, *, frozen: PyTree, batch: Batch) -> Terms:
        variables = {"params": params} | ({"frozen": frozen["model"]} if "model" in frozen else {})
        equalised = {"equalised": batch["equalised"]} if "equalised" in batch and self.model.input_maps else {}
        out = self.model.apply(variables, batch["low"], **equalised)
        terms = {"sl": self._luminance(out), "is": self._smoothness(out, batch["low"])} if "illumination" in out else {}
        terms["r"] = l1(out["restored"], batch["reference"])
        if self.perceptual.used:
            terms["p"] = self.perceptual(frozen, out["restored"], batch["reference"], dtype=self.model.dtype)
        return {name: jnp.mean(value) for name, value in terms.items()}

    def _luminance(self, out: dict[str, jax.Array]) -> jax.Array:
        if self.config.model.compat == "ultrais":
            return hinged_luminance(out["illumination"])
        return self_regularised_luminance(out["reflection_unclipped"])

    def _smoothness(self, out: dict[str, jax.Array], low: jax.Array) -> jax.Array:
        return illumination_smoothness(out["illumination"], low, gray_mode=self.model.gray_mode)
