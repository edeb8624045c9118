"""LW-DRGN on RELLISUR without super-resolution: the first part of the sequential baselines (RELLISUR's Tables 6 and 7).

    python train.py --config configs/lw_drgn_rellisur_x1.py --workdir runs/enhance_x1 --config.data.root=RELLISUR

Dark images and the X1 references. The first phase, which learns the degradation, is off, because the five exposures of
each scene give enough pairs; the papers' enhancers (MIRNet, Retinex-Net, ...) are other networks. See
ultrabm_rellisur_sr_x2.py for the cascade. Hardware: one GPU. Not run.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    config.model.dl_da = False
    config.train.deg_share = 0.0
    config.data.update({"dataset": "rellisur", "holdout": (0.0, 0.0)})
    return config
