"""LW-DRGN on LOL v1 for a CPU: about an hour on 2 cores.

    python train.py --config configs/lw_drgn_lol_small.py --workdir runs/lw_drgn_lol_small --config.data.root=LOL \
        --config.data.photos=R

Expected on LOL eval15, psnr_rgb / ssim_rgb / lpips_alex: 18.39 / .756 / .310 (docs/results.md).

The full LW-DRGN with smaller batches, narrow discriminators, a thirteenth of the steps, and an eleventh of those for
the first phase. Patches grow, unlike in the paper: the network judges the brightness of an image from the surroundings
of a pixel, and patches of 64 show too little of them (docs/log/training-runs.md).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    config.discriminator.width = 16
    config.data.update({"batch_size": 4, "patch_size": 64, "loader": "in_memory", "flips": "d4", "zoom": (1.0,)})
    config.train.update({"steps": 3300, "learning_rate": 1e-3, "cycles": ((1, 5e-4, 5e-5), (10, 1e-3, 1e-5))})
    config.train.stages = ((16, 4, 64), (9, 2, 128), (8, 1, 192))
    config.train.deg_share = 1 / 11
    config.train.ema_decay = 0.995
    config.eval.every = 500
    config.checkpoint.every = 200
    return config
