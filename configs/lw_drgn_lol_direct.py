"""LW-DRGN on LOL v1 as the bundled model `lw_drgn_lol` is trained, for a CPU: an hour and a half on one core.

    python train.py --config configs/lw_drgn_lol_direct.py --workdir runs/lw_drgn_lol --config.data.root=LOL

One generator restores the dark image directly, without DRGN's degradation phase, and receives the histogram-equalised
image and other maps that say little about the exposure (`model.input_maps`, ultrabm_jax/layers/input_maps.py). The
recipe, and where it differs from the paper: ultrabm_jax/config/drgn.py, `direct_recipe`. A tenth of the training pairs,
in whole scenes, chooses the checkpoint (`data.holdout`).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config, direct_recipe


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    direct_recipe(config)
    return config
