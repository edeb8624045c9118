"""LoLiSRFlow x4 on RELLISUR, the paper's data set.

    python train.py --config configs/lolisrflow_rellisur_x4.py --workdir runs/flow_x4 --config.data.root=RELLISUR

Hardware and sources: as configs/lolisrflow_rellisur_x2.py; patches of 160x160 in the reference there and here. To
expect, RELLISUR test, psnr_rgb / ssim_rgb: paper 21.58 / .742; not run here.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import lolisrflow_rellisur_x2


def get_config() -> ConfigDict:
    config = lolisrflow_rellisur_x2.get_config()
    config.model.scale = 4
    config.data.patch_size = 40
    return config
