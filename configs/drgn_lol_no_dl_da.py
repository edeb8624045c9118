"""Table 1, "w/o DL-DA": drgn_lol.py without degradation learning and data augmentation.

    python train.py --config configs/drgn_lol_no_dl_da.py --workdir runs/drgn_lol_no_dl_da --config.data.root=LOL

Hardware: one GPU. Not run. The paper's row, on LOL1000: PSNR 19.03 dB, SSIM .857, FSIM .906.
With all parts: 19.88 dB, .889, .916.

One network from I_L to I*, trained on real pairs alone for all 60 epochs. Of "similar computational complexity": 60
RCABs in place of 54 in two networks, 218.63 G multiply-adds (221.18 G) and 4,838,768 parameters (4,773,208).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("drgn")
    config.model.update({"dl_da": False, "groups": (4, 7, 9)})
    return config
