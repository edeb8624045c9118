"""`make demo`: fine-tunes the bundled photo model on the photos in scikit-image's wheel with simulated darkness.

    python train.py --config configs/demo.py --workdir runs/demo

Needs no download. Hardware: 2 CPU cores, two minutes. Nine photos and 60 steps show that training works; they are too
few to improve a model in general. One photo is held out for validation; eval.py measures the three test photos beside
the bundled model.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    config.model.dl_da = False  # without the first phase of DRGN, which synthesises dark images
    config.data.update({"dataset": "synthetic", "root": "skimage", "loader": "in_memory"})
    config.data.update({"batch_size": 2, "patch_size": 64, "zoom": (0.5, 1.0), "crop_offsets": "random", "flips": "d4"})
    config.data.darkness.ev = (-4.0, -2.0)
    config.train.update({"steps": 60, "learning_rate": 1e-4, "warmup": 5, "cycles": ((1, 1e-5),), "deg_share": 0.0})
    config.train.init_from = "lw_drgn_photo"
    config.eval.update({"every": 0, "panels": 1})
    config.eval.baselines = ("lw_drgn_photo", "gamma", "equalised", "clahe", "bicubic")
    config.checkpoint.every = 30
    return config
