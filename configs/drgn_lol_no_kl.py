"""Table 1, "w/o KL": drgn_lol.py without the KL consistency of I_D and I_D,ref.

    python train.py --config configs/drgn_lol_no_kl.py --workdir runs/drgn_lol_no_kl --config.data.root=LOL \
        --config.data.photos=R

With `--config.preset=paper`, add `--config.loss.lambda_kl=0`: the preset sets this weight as well.

Hardware: one GPU. Not run. The paper's row, on LOL1000: PSNR 19.61 dB, SSIM .881, FSIM .914.
With all parts: 19.88 dB, .889, .916.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("drgn")
    config.loss.lambda_kl = 0.0
    return config
