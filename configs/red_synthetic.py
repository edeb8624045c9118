"""RED on synthetic camera raw files: a small run for a CPU that needs no 50 GB download.

    python -m input_pipeline.synthesize_sid PHOTOS --output SYNTHETIC --split train
    python -m input_pipeline.synthesize_sid OTHER_PHOTOS --output SYNTHETIC --split test
    python train.py --config configs/red_synthetic.py --workdir runs/red_synthetic --config.data.root=SYNTHETIC

Hardware: 2 CPU cores, half an hour. Expected on 24 synthetic mosaics of Kodak's photos, amplified by the ratio of
exposures, psnr_rgb / ssim_rgb / lpips_alex: 23.88 / .628 / .444 (docs/results.md). The full network on small patches,
with ten times the paper's learning rate for a 300th of its steps.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("red")
    config.data.update({"batch_size": 2, "patch_size": 192})  # MS-SSIM needs more than 160 pixels
    config.train.update({"steps": 3000, "learning_rate": 1e-3, "cycles": ((500, 1e-3, 1e-3), (500, 1e-4, 1e-4))})
    config.eval.update({"every": 500, "best": "psnr_rgb"})
    return config
