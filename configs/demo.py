"""`make demo`: fine-tunes the bundled photo model on pairs, dark versions of the photos in scikit-image's wheel.

    python -m input_pipeline.darken skimage --split train --config configs/demo.py --scale 1 --pairs --output demo/train
    python train.py --config configs/demo.py --workdir demo/run --config.data.root=demo/train

Needs no download. Hardware: 2 CPU cores, two minutes. Nine pairs and 60 steps show that training works; they are too
few to improve a model in general. One pair is held out for validation; eval.py measures pairs of the three test photos
beside the bundled model.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config, direct_recipe


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    direct_recipe(config)
    config.data.darkness.ev = (-4.0, -2.0)  # of input_pipeline.darken
    config.data.update({"dataset": "paired", "holdout": (0.12, 0.0), "batch_size": 2, "zoom": (0.5, 1.0)})
    config.train.update({"steps": 60, "learning_rate": 1e-4, "warmup": 5, "stages": (), "ema_decay": 0.9})
    config.train.init_from = "lw_drgn_photo"
    config.eval.update({"every": 0, "panels": 1})
    config.eval.baselines = ("lw_drgn_photo", "gamma", "equalised", "clahe", "bicubic")
    config.checkpoint.every = 30
    return config
