"""UltraBM x2, small, on the photographs in scikit-image's wheel with simulated darkness. Runs anywhere, no download.

    python train.py --config configs/quickstart.py --workdir runs/quickstart

Hardware: 2 CPU cores, a few minutes. To expect: README.md, section "The demo" (what `make demo` measured). It shows
that everything works; it is not a model for use.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    config = base.get_config()
    config.model.update({"variant": "small", "semantic": "none"})
    # A perceptual loss on VGG-16 would take ten times the rest of the step on a CPU.
    config.loss.lambda_p = 0.0
    config.data.update({"dataset": "synthetic", "root": "skimage", "batch_size": 8, "patch_size": 48})
    config.train.update({"steps": 1500, "learning_rate": 1e-3, "cycles": ((1, 1e-5),), "mixup_probability": 0.0})
    config.train.grad_clip = 0.1
    config.eval.every = 500
    config.checkpoint.every = 250
    return config
