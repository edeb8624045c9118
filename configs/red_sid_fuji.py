"""RED on SID's Fuji subset (X-Trans): as red_sid_sony.py with nine channels per 3x3 pixels.

    python train.py --config configs/red_sid_fuji.py --workdir runs/red_fuji --config.data.root=SID

Hardware: one GPU. Not run here. Paper, on the test list with exposure ratios (its Table 1): PSNR 26.60 dB, SSIM 0.682.
The paper's operation count fits model.xtrans=mosaic, which treats the mosaic as a Bayer one: `--config.preset=paper`
sets it, with patches of 512 and the other fields listed in configs/red_sid_sony.py.
Patches are multiples of 48, at which pack9 needs no padding.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("red")
    config.model.xtrans = "pack9"
    config.data.update({"dataset": "sid_fuji", "patch_size": 528})
    return config
