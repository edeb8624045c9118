"""UltraBM x2 on LOL v1: the low image is shrunk by 2, the reference keeps its 600x400 pixels.

    python train.py --config configs/ultrabm_lol_x2.py --workdir runs/lol_x2 --config.data.root=LOL

On a CPU: `--config.model.variant=small --config.model.semantic=none --config.loss.lambda_p=0` and fewer steps.
Hardware: one GPU. Not run; the paper has no such experiment. The small variant was run: ultrabm_lol_x2_small.py. Low
images are 300x200, so the paper's patches stop at 192; the set is small, so there are half the paper's steps. A tenth
of the training pairs, in whole scenes, chooses the checkpoint (`data.holdout`).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config

STAGES = ((46, 8, 128), (32, 5, 160), (72, 4, 192))


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config()
    config.data.update({"dataset": "lol", "holdout": (0.1, 0.0), "batch_size": 8, "patch_size": 128})
    config.train.update({"steps": 75_000, "stages": STAGES})
    return config
