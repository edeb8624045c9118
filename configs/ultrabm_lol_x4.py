"""UltraBM x4 on LOL v1: the low image is shrunk by 4 to 150x100, the reference keeps its 600x400 pixels.

    python train.py --config configs/ultrabm_lol_x4.py --workdir runs/lol_x4 --config.data.root=LOL

Hardware: one GPU. Not run; the paper has no such experiment. Patches cannot grow beyond 96.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.scale = 4
    config.data.update({"dataset": "lol", "holdout": (0.1, 0.0), "batch_size": 8, "patch_size": 96})
    config.train.steps = 75_000
    return config
