"""UltraBM x2, small variant, for photos on a mixture of data sets, for a CPU.

The bundled model `ultrabm_small_photo_x2` was trained by this command, but from another start, and then for 300 steps
with a perceptual loss (its card). Hardware: a CPU core, an hour and a quarter. Expected psnr_rgb on the 83 validation
images after this command: 20.65.

    python train.py --config configs/ultrabm_photo_x2_small.py --workdir runs/ultrabm_photo \
        --config.data.records=RECORDS --config.train.init_from=ultrabm_small_photo_x2 --config.data.mixture="(
            ('lol/v1_scenes', 0.4),
            ('paired:PAIRS', 0.3, {'holdout': (0.1, 0.1)}),
            ('paired:DARK', 0.15, {'holdout': (0.0, 0.0)}),
            ('paired:NIGHT', 0.15, {'holdout': (0.0, 0.0), 'eval_root': 'NIGHTVAL'}))" \
        --config.data.eval_members="('lol/v1_scenes', 'PAIRS', 'NIGHT')"

The data sets are described in the card of `lw_drgn_photo`; low images of the size of their references are shrunk by 2.
With zoom .5, a patch of 80 pixels covers 160 of the image. The loss is that of `ultrabm_lol_x2_small`.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.update({"variant": "small", "semantic": "none"})
    config.loss.update({"lambda_p": 0.0, "lambda_sl": 0.05})
    config.data.update({"dataset": "lol", "holdout": (0.1, 0.0), "batch_size": 1, "patch_size": 80})
    config.data.update({"loader": "in_memory", "flips": "d4", "zoom": (0.5, 0.75, 1.0)})
    config.train.update({"steps": 7000, "learning_rate": 1e-3, "cycles": ((1, 1e-6),), "warmup": 100})
    config.train.update({"grad_clip": 0.1, "ema_decay": 0.998, "mixup_probability": 0.0})
    config.eval.every = 1500
    config.checkpoint.every = 500
    return config
