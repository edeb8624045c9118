"""LW-DRGN on LOL v1 as the bundled model `lw_drgn_lol` is trained, for a CPU: an hour and a half on one core.

    python train.py --config configs/lw_drgn_lol_direct.py --workdir runs/lw_drgn_lol --config.data.root=LOL

One generator restores the dark image directly, without DRGN's degradation phase. The recipe, and where it differs from
the paper: ultrabm_jax/config/drgn.py, `direct_recipe`, here without its input maps. A tenth of the training images, of
scenes that are also trained on, chooses the checkpoint: nearly all scenes of LOL's test images are among the training
scenes (docs/results.md).

The bundled model's run started from a model that had been trained on LOL and other photos (its card). From random
parameters these steps have not been run; more of them may be needed.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config, direct_recipe


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    direct_recipe(config)
    config.model.input_maps = False
    config.data.update({"extra_inputs": (), "batch_size": 1, "patch_size": 160})
    config.data.update({"holdout": (0.1, 0.0), "holdout_by": "image"})
    config.train.update({"steps": 7000, "learning_rate": 7e-4, "stages": ((4, 1, 160), (3, 1, 192))})
    config.train.ema_decay = 0.999
    return config
