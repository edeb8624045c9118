"""LW-DRGN for photos, on a mixture of data sets, for a CPU: over an hour on 2 cores.

    python train.py --config configs/lw_drgn_photo_small.py --workdir runs/lw_drgn_photo_small \
        --config.data.records=RECORDS --config.data.photos=R --config.data.mixture="(
            ('lol/v1_scenes', 0.5),
            ('paired:PAIRS', 0.3, {'holdout': (0.1, 0.1)}),
            ('synthetic:R', 0.2))" \
        --config.data.eval_members="('lol/v1_scenes', 'PAIRS')"

RECORDS holds lol/v1_scenes (docs/data.md), PAIRS pairs of outdoor scenes, such as exposure pairs made from SICE, and R
clean photos, such as Kodak and BSDS: they are darkened synthetically, and they are DRGN's reference set. An evaluation
member is named after the last part of its folder. The scenes that lol/v1_scenes and `holdout` keep aside choose the
checkpoint. The recipe is that of lw_drgn_lol_small.py. Not run to its end.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    config.discriminator.width = 16
    config.data.update({"batch_size": 4, "patch_size": 64, "loader": "in_memory", "flips": "d4", "zoom": (1.0,)})
    config.train.update({"steps": 3300, "learning_rate": 1e-3, "cycles": ((1, 5e-4, 5e-5), (10, 1e-3, 1e-5))})
    config.train.stages = ((16, 4, 64), (9, 2, 128), (8, 1, 192))
    config.train.deg_share = 1 / 11
    config.train.ema_decay = 0.995
    config.eval.every = 500
    config.checkpoint.every = 200
    return config
