"""LW-DRGN on your own pairs of equal size, small enough for a CPU: fine-tunes the bundled photo model.

    python train.py --config configs/pairs_x1.py --workdir runs/pairs --config.data.root=PAIRS
    python eval.py --workdir runs/pairs

PAIRS holds low/NAME.png and high/NAME.png (or input/ and gt/) of equal size. A tenth of the scenes chooses the
checkpoint and another tenth is the test set of eval.py (`data.holdout`). With folders of your own for both,
--config.data.eval_root=VALIDATION; eval.py takes another folder by the same option.

The recipe is `direct_recipe` (ultrabm_jax/config/drgn.py) with a smaller learning rate and fewer steps; it starts from
lw_drgn_photo. With a few hundred pairs or more, --config.train.init_from="" starts from random parameters: raise
train.learning_rate to 1e-3 and train.steps to 4,000 then. Not run on a published data set.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config, direct_recipe


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    direct_recipe(config)
    config.data.update({"dataset": "paired", "holdout": (0.1, 0.1), "zoom": (1.0,)})
    config.train.update({"steps": 400, "init_from": "lw_drgn_photo", "stages": ((2, 4, 64), (1, 2, 128))})
    config.train.update({"learning_rate": 1e-4, "warmup": 20, "ema_decay": 0.98})
    config.eval.every = 100
    config.checkpoint.every = 100
    return config
