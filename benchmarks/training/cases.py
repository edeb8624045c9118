"""The training steps that training_speed.py measures: config, batch and weights of each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from configs import lw_drgn_lol_small, red_sid_sony, ultrabm_lol_x2_small, ultrabm_rellisur_x2
from ultrabm_jax.evaluation.random_variables import draw_variables

if TYPE_CHECKING:
    from ultrabm_jax.methods.base import Method

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table; `size` is BATCHxPATCH of the low images."""

    name: str
    size: str

    @property
    def batch(self) -> int:
        return int(self.size.split("x")[0])

    @property
    def patch(self) -> int:
        return int(self.size.split("x")[1])


# name: (config, changes of the model, sizes, losses)
NAMES = {
    "ultrabm_small": "UltraBM x2 small without semantics: L_SL, L_IS, L_R",
    "ultrabm_base": "UltraBM x2 base without semantics: L_SL, L_IS, L_R",
    "ultrabm_base_vgg": "UltraBM x2 base, VGG-16 as semantic extractor and for L_P: L_SL, L_IS, L_R, L_P",
    "lw_drgn": "LW-DRGN, phase 2: Charbonnier and SSIM of the real and the synthetic pair",
    "red": "RED with weight normalisation: L1 and 1 - MS-SSIM",
}
DEFAULT_CASES = ("ultrabm_small:4x48", "ultrabm_base:1x64", "lw_drgn:4x64", "lw_drgn:2x128", "red:1x512")


def config_of(name: str) -> ConfigDict:
    """The run's config; no augmentation, no moving average, the schedule's first learning rate throughout."""
    if name.startswith("ultrabm"):
        config = (ultrabm_lol_x2_small if name == "ultrabm_small" else ultrabm_rellisur_x2).get_config()
        if name == "ultrabm_base":
            config.model.semantic, config.loss.lambda_p = "none", 0.0
        config.model.semantic_init = "random"
    elif name == "lw_drgn":
        config = lw_drgn_lol_small.get_config()
        config.train.deg_share = 0.0
    else:
        config = red_sid_sony.get_config()
    rate = config.train.learning_rate
    config.train.update({"mixup_probability": 0.0, "ema_decay": 0.0, "warmup": 0, "cycles": ((1, rate, rate),)})
    return config


def make_case(case: Case, method: Method) -> tuple[Arrays, dict[str, Any]]:
    """(arrays, settings) for both sides: parameters, frozen variables and batch; options and weights of the losses.

    "levels/..." is for ours only, whose step normalises and amplifies mosaics.
    """
    import jax
    from flax.traverse_util import flatten_dict

    from ultrabm_jax.weights import to_torch

    config = method.config
    shapes = jax.eval_shape(method.task.init_params, jax.random.key(0))
    params = draw_variables(shapes)
    arrays = {f"params/{name}": value for name, value in flatten_dict(params, sep="/").items()}
    frozen = draw_variables(method.frozen_shapes())
    arrays |= {f"frozen/{name}": value for name, value in flatten_dict(frozen, sep="/").items()}
    if case.name == "red":
        arrays |= {f"release/{name}": np.asarray(v) for name, v in to_torch("red", {"params": params}).items()}
    rng, scale = np.random.default_rng(0), config.model.scale
    channels = 1 if case.name == "red" else 3
    arrays["batch/low"] = rng.beta(1, 9, (case.batch, case.patch, case.patch, channels)).astype(np.float32)
    arrays["batch/reference"] = rng.random((case.batch, scale * case.patch, scale * case.patch, 3), np.float32)
    if case.name == "red":  # low is the amplified mosaic: these levels and this ratio leave it unchanged
        arrays["levels/black"] = np.zeros((case.batch, 2, 2), np.float32)
        arrays |= {f"levels/{name}": np.ones(case.batch, np.float32) for name in ("white", "ratio")}
    fields = {name: value for name, value in vars(method.model).items() if isinstance(value, int | float | str)}
    settings = {
        "model": config.model.name,
        "options": fields,
        "loss": config.loss.to_dict(),
        "train": {
            name: config.train[name] for name in ("optimizer", "learning_rate", "betas", "weight_decay", "grad_clip")
        },
    }
    return arrays, settings
