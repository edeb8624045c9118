"""UltraBM x2, small variant, on LOL v1, for a CPU: an hour on 2 cores.

    python train.py --config configs/ultrabm_lol_x2_small.py --workdir runs/lol_x2_small --config.data.root=LOL

To expect, LOL eval15: docs/results.md, which says what was measured. No perceptual loss: on VGG-16 it would take ten
times the rest of a step on a CPU (the paper's Table 6, second row, has no perceptual loss either).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import ultrabm_lol_x2


def get_config() -> ConfigDict:
    config = ultrabm_lol_x2.get_config()
    config.model.variant = "small"
    config.loss.lambda_p = 0.0
    config.data.patch_size = 48
    config.train.update({"steps": 3500, "stages": (), "learning_rate": 1e-3, "cycles": ((1, 1e-6),)})
    config.eval.every = 500
    config.checkpoint.every = 250
    return config
