"""LoLiSRFlow x2, small variant, on LOL v1, for a CPU: two hours on one core.

    python train.py --config configs/lolisrflow_lol_x2_small.py --workdir runs/flow_lol --config.data.root=LOL

Expected on LOL eval15 at temperature 0, psnr_rgb / ssim_rgb / lpips_alex: 19.41 / .774 / .274, measured with nearly
this recipe: the first run of the bundled lolisrflow_small_lol_x2 (its card). The paper has no such experiment. Patches
grow, and a tenth of the training pairs, in whole scenes, chooses the checkpoint (`data.holdout`).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lolisrflow")
    config.model.update({"variant": "small", "remat": "none"})
    config.data.update({"dataset": "lol", "holdout": (0.1, 0.0), "batch_size": 4, "patch_size": 40})
    rate = 1e-3  # twice the paper's configs', for a hundredth of their steps
    config.train.update({"steps": 4000, "learning_rate": rate, "warmup": 100, "cycles": ((1, rate), (1, 1e-5))})
    config.train.update({"stages": ((10, 4, 40), (8, 2, 64), (6, 1, 112)), "ema_decay": 0.998})
    config.loss.l1_ramp = 0.1
    config.eval.every = 1000
    config.checkpoint.every = 250
    return config
