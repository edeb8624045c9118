"""Baselines that need no training, on LOL's evaluation images at scale 1: input, tone curves, Zero-DCE, SCI.

    python eval.py --config configs/compare_lol.py --config.data.root=LOL --output runs/compare_lol

Expected on eval15 (psnr_rgb / ssim_rgb): input 7.77 / .195, zero_dce 14.86 / .559, sci_medium 14.85 / .524. The weights
come from the asset store (docs/metrics.md); without them, leave the networks out:
--config.eval.baselines='("bicubic","gamma","clahe")'.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.scale = 1
    config.data.dataset = "lol"
    config.eval.baselines = ("zero_dce", "sci_medium", "gamma", "equalised", "clahe", "bicubic")
    return config
