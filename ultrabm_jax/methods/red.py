"""RED's training: one network on amplified mosaics, L1 and MS-SSIM.

    L = lambda_r L1 + lambda_ms (1 - MS-SSIM)

Source: RED section 3.1 (weights 0.8 and 0.2) and the released code (1 and 0.2). Training amplifies mosaics by the
exposure ratio (equation 3), which the data set provides.
"""

from __future__ import annotations

import jax.numpy as jnp

from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.losses.structural import ms_ssim_loss
from ultrabm_jax.methods.base import SingleNetwork, Terms
from ultrabm_jax.metrics.ssim import MS_SSIM_MIN_SIDE
from ultrabm_jax.models.red.task import amplified
from ultrabm_jax.typing import Batch, Params, PyTree


class REDMethod(SingleNetwork):
    """RED on pairs {"low": (b, p, p, 1), "reference": (b, p, p, 3), "ratio": (b,)}.

    low is 0 at black and 1 at white, not amplified; the reference is in [0, 1].
    """

    def min_sides(self) -> dict[str, int]:
        return {"loss.lambda_ms": MS_SSIM_MIN_SIDE} if self.config.loss.lambda_ms else {}

    def terms(self, params: Params, *, frozen: PyTree, batch: Batch) -> Terms:
        restored = self.model.apply({"params": params}, amplified(batch), train=True)["restored"]
        terms = {"r": l1(restored, batch["reference"])}
        if self.config.loss.lambda_ms:
            terms["ms"] = ms_ssim_loss(restored, batch["reference"])
        return {name: jnp.mean(value) for name, value in terms.items()}
