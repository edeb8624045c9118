"""LoLiSRFlow x2, small variant, on LOL v1, for a CPU.

    python train.py --config configs/lolisrflow_lol_x2_small.py --workdir runs/flow_lol --config.data.root=LOL

LOL eval15: measured results are in docs/results.md; the paper has no such experiment.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("lolisrflow")
    config.model.update({"variant": "small", "remat": "none"})
    config.data.update({"dataset": "lol", "holdout": (0.1, 0.0), "batch_size": 4, "patch_size": 40})
    rate = 1e-3  # twice the paper's configs', for a hundredth of their steps
    config.train.update({"steps": 2000, "learning_rate": rate, "warmup": 50, "cycles": ((1, rate), (1, 1e-5))})
    config.loss.l1_ramp = 0.1
    config.eval.every = 250
    config.checkpoint.every = 125
    return config
