"""UltraBM x2, small variant, on LOL v1, for a CPU: 40 minutes on 2 cores.

    python train.py --config configs/ultrabm_lol_x2_small.py --workdir runs/lol_x2_small --config.data.root=LOL

Expected on LOL eval15, psnr_rgb / ssim_rgb / lpips_alex: about 19.4 / .74 / .38; measured with nearly this recipe, on
the records lol/v1_scenes at step 3,000 of 5,000 (docs/log/training-runs.md). A tenth of the training pairs, in whole
scenes, chooses the checkpoint (`data.holdout`). Deviations from the paper beside the small network:

    loss.lambda_p = 0          on VGG-16 it takes ten times the rest of a CPU step (Table 6, row 2, has none either)
    loss.lambda_sl = .05       at the paper's 1 the luminance term dominates a short run: without a warm-up the total
                               loss reached 1.2 million within 15 steps
    model.semantic = none      a VGG-16 extractor makes a CPU step three times as long
    train.warmup = 100, train.grad_clip = .1, train.learning_rate = 1.5e-3: a short schedule that starts without spikes
    train.ema_decay = .995, train.mixup_probability = .2
    train.stages               patches grow to 160 while the batch falls to 1: the network judges the brightness of
                               an image from the surroundings of a pixel
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.update({"variant": "small", "semantic": "none"})
    config.loss.update({"lambda_p": 0.0, "lambda_sl": 0.05})
    config.data.update({"dataset": "lol", "holdout": (0.1, 0.0), "batch_size": 8, "patch_size": 48})
    config.data.loader = "in_memory"
    config.train.update({"steps": 3500, "learning_rate": 1.5e-3, "cycles": ((1, 1e-6),), "warmup": 100})
    config.train.update({"stages": ((16, 8, 48), (9, 4, 72), (7, 1, 160)), "grad_clip": 0.1})
    config.train.update({"ema_decay": 0.995, "mixup_probability": 0.2})
    config.eval.every = 500
    config.checkpoint.every = 250
    return config
