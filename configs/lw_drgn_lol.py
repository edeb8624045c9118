"""LW-DRGN on LOL v1: drgn_lol.py with light generators (662,226 parameters in place of 4,773,208).

    python train.py --config configs/lw_drgn_lol.py --workdir runs/lw_drgn_lol --config.data.root=LOL \
        --config.data.photos=R

The paper says that LW-DRGN has one branch and attention-guided dense fusion, and no more; its layers are ours
(models/drgn/generators.py). Hardware: one GPU. Not run. On a CPU: lw_drgn_lol_small.py.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import drgn_lol


def get_config() -> ConfigDict:
    config = drgn_lol.get_config()
    config.model = model()
    return config


def model() -> ConfigDict:
    """All fields of config.model for LW-DRGN."""
    return ConfigDict(
        {
            "name": "lw_drgn",
            "scale": 1,  # output to input
            "variant": "base",  # base: the paper's multiply-adds are one generator's | pair: both generators'
            "dl_da": True,  # False: one network, no degradation learning and augmentation
            "prelu": 0.25,  # slope at the start: 0.25 (PyTorch) | 0.0 (the authors' MSPFN)
            "init_kind": "xavier",  # xavier (MSPFN) | torch
            "deg_gain": 0.1,  # of DeG's last convolution at the start: the first I_D is small
            "dtype": "float32",  # float32 | bfloat16: compute type; parameters are always float32
            "remat": False,  # compute RCABs again in the backward pass: less memory, slower
        }
    )
