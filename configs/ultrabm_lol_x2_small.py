"""UltraBM x2, small variant, on LOL v1, for a CPU: an hour on 2 cores.

    python train.py --config configs/ultrabm_lol_x2_small.py --workdir runs/lol_x2_small --config.data.root=LOL

LOL eval15: measured results are in docs/results.md. As configs/ultrabm_lol_x2.py without the perceptual loss, which on
VGG-16 would take ten times the rest of a step on a CPU (the paper's Table 6, second row, has none either).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.variant = "small"
    config.loss.lambda_p = 0.0
    config.data.update({"dataset": "lol", "batch_size": 8, "patch_size": 48})
    config.train.update({"steps": 3500, "learning_rate": 1e-3, "cycles": ((1, 1e-6),)})
    config.eval.every = 500
    config.checkpoint.every = 250
    return config
