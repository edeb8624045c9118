"""RED's training: one network on amplified mosaics, L1 and MS-SSIM.

    L = lambda_r L1 + lambda_ms (1 - MS-SSIM)

Source: RED section 3.1 (weights 0.8 and 0.2) and the released code (1 and 0.2). While training, mosaics are amplified
by the ratio of the exposures (equation 3), which the data set knows; `restore` takes mosaics that are amplified
already, because at that time the ratio may come from amplification.py instead.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.losses.structural import ms_ssim_loss
from ultrabm_jax.methods.base import Batch, SingleNetwork, Terms
from ultrabm_jax.models import create_model
from ultrabm_jax.models.red.weight_norm import fold_weight_norm


class REDMethod(SingleNetwork):
    """RED on pairs {"low": (b, p, p, 1), "reference": (b, p, p, 3), "ratio": (b,)}.

    low is 0 at black and 1 at white, not amplified; the reference is in [0, 1].
    """

    def __init__(self, config: ConfigDict) -> None:
        options = dict(config.model.items())
        super().__init__(config, create_model(**(options | {"dtype": jnp.dtype(options["dtype"])})))

    def initial_params(self, key: jax.Array, low: jax.Array) -> Any:
        # The smallest mosaic: no parameter depends on the size, and `low` may be that of an RGB network.
        return self.model.init(key, jnp.zeros((1, self.model.multiple, self.model.multiple, 1)))["params"]

    def restore(self, variables: dict[str, Any], low: jax.Array) -> jax.Array:
        """Amplified mosaic (b, h, w, 1) -> restored (b, h, w, 3) in [0, 1]."""
        folded = {"params": fold_weight_norm(variables["params"])}
        return self.model.clone(weight_norm=False).apply(folded, low)["restored"]

    def restore_batch(self, variables: dict[str, Any], batch: Batch) -> jax.Array:
        """Amplified by the exposure ratio, as the paper's Table 1."""
        return self.restore(variables, self._amplify(batch))

    def terms(self, params: Any, *, frozen: Any, batch: Batch) -> Terms:
        restored = self.model.apply({"params": params}, self._amplify(batch), train=True)["restored"]
        terms = {"r": l1(restored, batch["reference"])}
        if self.config.loss.lambda_ms:
            terms["ms"] = ms_ssim_loss(restored, batch["reference"])
        return {name: jnp.mean(value) for name, value in terms.items()}

    def _amplify(self, batch: Batch) -> jax.Array:
        return batch["low"] * batch["ratio"][:, None, None, None]
