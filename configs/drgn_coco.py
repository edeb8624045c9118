"""DRGN on pairs made from COCO photos, in the numbers of the paper's COCO24700.

    python -m ultrabm_jax.tools.calibrate_gamma COCO/val2017 --output COCO/gamma.json
    python -m input_pipeline.prepare coco_dark --manual_dir COCO --data_dir RECORDS
    python train.py --config configs/drgn_coco.py --workdir runs/drgn_coco --config.data.records=RECORDS \
        --config.data.photos=COCO/val2017

The paper's pairs and recipe are not published; ours are described in ultrabm_jax/image/gamma_darkness.py and
docs/data.md. The first command sets the darkness to the 11.58 dB that the paper states for its dark test images;
without it, the range of MBLLEN applies. COCO was not available, so nothing was run on it. The number of steps is not
published either; it is that of LOL.

Hardware: one GPU. Not run. The paper's Table 4 (COCO1000): PSNR 20.47 dB, SSIM .790, on its own pairs, which are not
these.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from ultrabm_jax.config import default_config


def get_config() -> ConfigDict:
    """All fields of the run."""
    config = default_config("drgn")
    config.data.update({"dataset": "coco_dark", "holdout": (0.01, 0.0)})
    return config
