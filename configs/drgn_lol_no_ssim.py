"""Table 1, "w/o SSIM": drgn_lol.py without SSIM in ReG's loss.

    python train.py --config configs/drgn_lol_no_ssim.py --workdir runs/drgn_lol_no_ssim --config.data.root=LOL \
        --config.data.photos=R

Hardware: one GPU. Not run. The paper's row, on LOL1000: PSNR 19.56 dB, SSIM .849, FSIM .907.
With all parts: 19.88 dB, .889, .916.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("drgn")
    config.loss.update({"lambda_ssim": 0.0, "lambda_ssim_ref": 0.0})
    return config
