"""DRGN on pairs made from COCO photos, in the numbers of the paper's COCO24700.

    python -m input_pipeline.prepare coco_dark --manual_dir COCO --data_dir RECORDS
    python train.py --config configs/drgn_coco.py --workdir runs/drgn_coco --config.data.records=RECORDS \
        --config.data.photos=COCO/val2017

The paper's pairs and recipe are not published; how ours are made: input_pipeline/coco_darkness.py, docs/data.md. Nor
does it say how long it trains on them: as many steps as on LOL. Hardware: one GPU. Not run. The paper's Table 4
(COCO1000): PSNR 20.47 dB, SSIM .790, on its own pairs, so not comparable.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import drgn_lol


def get_config() -> ConfigDict:
    config = drgn_lol.get_config()
    config.data.dataset = "coco_dark"
    return config
