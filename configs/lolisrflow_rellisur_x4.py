"""LoLiSRFlow x4 on RELLISUR, the paper's data set.

    python train.py --config configs/lolisrflow_rellisur_x4.py --workdir runs/flow_x4 --config.data.root=RELLISUR

Hardware, sources and preset: as configs/lolisrflow_rellisur_x2.py; patches of 160x160 in the reference in both.
RELLISUR test, psnr_rgb / ssim_rgb: paper 21.58 / .742; not run here.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lolisrflow")
    config.model.scale = 4
    config.data.patch_size = 40
    config.eval.protocols = (*config.eval.protocols, "niqe_gray", "loe_up", "loe_ref", "brisque")
    return config
