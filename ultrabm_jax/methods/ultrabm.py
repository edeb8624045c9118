"""UltraBM's training: one network, four losses, pairs of low and reference images.

    L = lambda_sl L_SL + lambda_is L_IS + lambda_r L_R + lambda_p L_P

Source: UltraBM equations 6 and 7 and the released UltraIS code; the weights are config.loss. A loss of weight zero is
not computed. With one stream (Table 4) there is no illumination, and L_SL and L_IS do not apply.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ultrabm_jax.backbones.pretrained import load_vgg16, load_vgg19
from ultrabm_jax.errors import UserError
from ultrabm_jax.losses.perceptual import perceptual_loss
from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.losses.retinex import hinged_luminance, illumination_smoothness, self_regularised_luminance
from ultrabm_jax.methods.base import Batch, SingleNetwork, Terms
from ultrabm_jax.methods.mixup import mixup
from ultrabm_jax.models import create_model

PERCEPTUAL = {"vgg16": load_vgg16, "vgg19": load_vgg19}


class UltraBMMethod(SingleNetwork):
    """UltraBM on pairs {"low": (b, h, w, 3), "reference": (b, s h, s w, 3)} in [0, 1]."""

    def __init__(self, config: ConfigDict) -> None:
        if config.loss.perceptual not in PERCEPTUAL:
            raise UserError(f"unknown loss.perceptual {config.loss.perceptual!r}; known: {', '.join(PERCEPTUAL)}")
        super().__init__(config, create_model(**model_options(config)))

    def initial_params(self, key: jax.Array, low: jax.Array) -> Any:
        # Random, because the extractor's variables are not part of the result: `frozen` loads them.
        return self.model.clone(semantic_init="random").init(key, low)["params"]

    def frozen(self, key: jax.Array) -> dict[str, Any]:
        frozen = {}
        if self.model.has_semantic:
            frozen["model"] = {"semantic": self.model.semantic_variables(key)}
        if self.config.loss.lambda_p:
            frozen["perceptual"] = PERCEPTUAL[self.config.loss.perceptual](folder=self.config.data.assets or None)
        return frozen

    def augment(self, key: jax.Array, batch: Batch) -> Batch:
        train = self.config.train
        return mixup(key, batch, probability=train.mixup_probability, alpha=train.mixup_alpha)

    def restore(self, variables: dict[str, Any], low: jax.Array) -> jax.Array:
        """low (b, h, w, 3) -> restored (b, s h, s w, 3) in [0, 1]."""
        return jnp.clip(self.model.apply(variables, low)["restored"], 0, 1)

    def terms(self, params: Any, *, frozen: Any, batch: Batch) -> Terms:
        variables = {"params": params} | ({"frozen": frozen["model"]} if "model" in frozen else {})
        out = self.model.apply(variables, batch["low"])
        terms = {"sl": self._luminance(out), "is": self._smoothness(out, batch["low"])} if "illumination" in out else {}
        terms["r"] = l1(out["restored"], batch["reference"])
        if self.config.loss.lambda_p:
            terms["p"] = perceptual_loss(
                frozen["perceptual"],
                out["restored"],
                batch["reference"],
                network=self.config.loss.perceptual,
                dtype=self.model.dtype,
            )
        return {name: jnp.mean(value) for name, value in terms.items()}

    def _luminance(self, out: dict[str, jax.Array]) -> jax.Array:
        if self.config.model.compat == "ultrais":
            return hinged_luminance(out["illumination"])
        return self_regularised_luminance(out["reflection_unclipped"])

    def _smoothness(self, out: dict[str, jax.Array], low: jax.Array) -> jax.Array:
        return illumination_smoothness(out["illumination"], low, gray_mode=self.model.gray_mode)


def model_options(config: ConfigDict) -> dict[str, Any]:
    """config.model -> arguments of `create_model`."""
    options = dict(config.model.items())
    return options | {"dtype": jnp.dtype(options["dtype"]), "assets": config.data.assets or None}
