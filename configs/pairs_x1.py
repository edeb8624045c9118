"""LW-DRGN on your own pairs of equal size, small enough for a CPU.

    python train.py --config configs/pairs_x1.py --workdir runs/pairs --config.data.root=PAIRS
    python eval.py --workdir runs/pairs

PAIRS holds low/NAME.png and high/NAME.png (or input/ and gt/) of equal size. A tenth of the scenes chooses the
checkpoint and another tenth is the test set of eval.py (`data.holdout`). With folders of your own for both,
--config.data.eval_root=VALIDATION; eval.py takes another folder by the same option.

--config.train.init_from=NAME starts from an x1 model that `restore.py --list-models` lists. DRGN's reference set is
--config.data.photos=FOLDER, well-lit photos of other scenes; without it, the references of the other examples of a
batch are used, so every batch has two or more. The recipe is otherwise that of lw_drgn_lol_small.py. Not run on a
published data set.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lw_drgn")
    config.discriminator.width = 16
    config.data.update({"dataset": "paired", "holdout": (0.1, 0.1)})
    config.data.update({"batch_size": 4, "patch_size": 64, "loader": "in_memory", "flips": "d4", "zoom": (1.0,)})
    config.train.update({"steps": 3300, "learning_rate": 1e-3, "cycles": ((1, 5e-4, 5e-5), (10, 1e-3, 1e-5))})
    config.train.stages = ((2, 4, 64), (1, 2, 128))
    config.train.deg_share = 1 / 11
    config.train.ema_decay = 0.995
    config.eval.every = 500
    config.checkpoint.every = 200
    return config
