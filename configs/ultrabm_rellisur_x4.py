"""UltraBM x4 on RELLISUR, the paper's data set.

    python train.py --config configs/ultrabm_rellisur_x4.py --workdir runs/rellisur_x4 --config.data.root=RELLISUR

Hardware, options and presets (`--config.preset=paper`): as configs/ultrabm_rellisur_x2.py. RELLISUR test,
psnr_rgb / ssim_rgb / lpips_alex: paper 21.036 / .726 / .371; not run here.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config

STAGES = ((46, 8, 96), (32, 5, 128), (24, 4, 160), (18, 2, 224), (18, 1, 288), (12, 1, 320))


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.scale = 4
    config.data.update({"dataset": "rellisur", "batch_size": 8, "patch_size": 96})
    config.train.stages = STAGES
    config.eval.protocols = (*config.eval.protocols, "niqe_gray", "loe_up", "loe_ref", "brisque")
    return config
