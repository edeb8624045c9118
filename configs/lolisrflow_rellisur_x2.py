"""LoLiSRFlow x2 on RELLISUR, the paper's data set.

    python train.py --config configs/lolisrflow_rellisur_x2.py --workdir runs/flow_x2 --config.data.root=RELLISUR

Hardware: one GPU. Activations are recomputed (`model.remat`); docs/log/benchmarks.md has the memory of each option.
RELLISUR test, psnr_rgb / ssim_rgb: paper 23.40 / .753; not run here. Samples at
temperatures .3 and .7 (LLFlow's and SRFlow's range) are measured beside the restoration.

The paper states the loss and its weight, the augmentation and the data. Optimiser, schedule, batch and patch are
LLFlow's and SRFlow's; our 100,000 steps are between their 40,000 and 200,000. Clipping at a gradient norm of 1 is ours.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lolisrflow")
    return config
