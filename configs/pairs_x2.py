"""UltraBM x2, small, on your own pairs, small enough for a CPU: fine-tunes the bundled model.

    python train.py --config configs/pairs_x2.py --workdir runs/pairs --config.data.root=PAIRS
    python eval.py --workdir runs/pairs

PAIRS holds low/NAME.png and high/NAME.png (or input/ and gt/), and high is twice as large as low. A tenth of the scenes
chooses the checkpoint and another tenth is the test set of eval.py (`data.holdout`). With folders of your own for both,
--config.data.eval_root=VALIDATION; eval.py takes another folder by the same option. Low images as large as their
references are refused here: a model that does not enlarge is trained by configs/pairs_x1.py.

The recipe is that of ultrabm_lol_x2_small.py with a smaller learning rate and fewer steps; it starts from
ultrabm_small_photo_x2. --config.train.init_from="" starts from random parameters: raise train.learning_rate to 1.5e-3
and train.steps to 3,500 then. Not run on a published data set.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.model.update({"variant": "small", "semantic": "none"})
    config.loss.update({"lambda_p": 0.0, "lambda_sl": 0.05})
    config.data.update({"dataset": "paired", "holdout": (0.1, 0.1), "downscale": "never"})
    config.data.update({"batch_size": 4, "patch_size": 48, "loader": "in_memory"})
    config.train.update({"steps": 1000, "init_from": "ultrabm_small_photo_x2"})
    config.train.update({"learning_rate": 3e-4, "cycles": ((1, 1e-6),), "warmup": 50, "grad_clip": 0.1})
    config.train.update({"ema_decay": 0.99, "mixup_probability": 0.2})
    config.eval.every = 250
    config.checkpoint.every = 250
    return config
