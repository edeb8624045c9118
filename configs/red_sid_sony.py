"""RED on SID's Sony subset, as its authors trained it: ARW files or their records in, sRGB out.

    python train.py --config configs/red_sid_sony.py --workdir runs/red_sony --config.data.root=SID

data.root holds Sony/ and the lists Sony_train_list.txt, ...; better, prepare records first (docs/data.md): decoding a
reference takes seconds. Hardware: one GPU. Not run here: a million steps. Paper, on the test list with exposure ratios
(its Table 1): PSNR 28.66 dB, SSIM 0.790.

The values are those of the released code; the paper's are loss.lambda_r=0.8 and model.variant=paper. data.bayer_aug=raw
flips the mosaic as the release does, which exchanges its colours.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("red")
    return config
