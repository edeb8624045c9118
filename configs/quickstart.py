"""UltraBM x2, small, on the photos in scikit-image's wheel with simulated darkness. Needs no download.

    python train.py --config configs/quickstart.py --workdir runs/quickstart

Hardware: 2 CPU cores, a few minutes. Expected on the three test photos, psnr_rgb / ssim_rgb / lpips_alex: 21.20 / .640
/ .474 (docs/results.md, "Quickstart"). It tests the installation; nine photos are too few to train a useful model. No
photo is held out for validation, so nothing is evaluated during training and the last checkpoint is used; eval.py
measures the three test photos.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.update({"variant": "small", "semantic": "none"})
    # A perceptual loss on VGG-16 would take ten times the rest of the step on a CPU. In so few steps the luminance
    # loss, at its weight in the paper, would determine the illumination more than the restored image does.
    config.loss.update({"lambda_p": 0.0, "lambda_sl": 0.1})
    config.data.update({"dataset": "synthetic", "root": "skimage", "batch_size": 4, "patch_size": 48})
    config.train.update({"steps": 800, "learning_rate": 2e-3, "warmup": 50, "cycles": ((1, 1e-5),)})
    config.train.mixup_probability = 0.0
    # With data.holdout: one evaluation at the end, of one image. eval.py measures all test photos.
    config.eval.update({"every": 0, "count": 1, "panels": 1})
    config.checkpoint.every = 200
    return config
