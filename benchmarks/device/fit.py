"""Trains LW-DRGN, UltraBM x2 and LoLiSRFlow x2 on LOL for as long as the budget allows.

Each run is an ordinary workdir, so that a later call continues it, and `python eval.py --workdir` evaluates it. Batches
come from device memory; neither TensorFlow nor a weight file is needed: UltraBM has no semantic extractor and no
perceptual loss here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from ml_collections import ConfigDict

STEPS = {"lw_drgn": 43_200, "ultrabm": 75_000, "lolisrflow": 40_000}  # the schedules' lengths; most runs end earlier
CONFIG = {"lw_drgn": "lw_drgn_lol", "ultrabm": "ultrabm_lol_x2", "lolisrflow": "lolisrflow_rellisur_x2"}
EVERY = 1000  # steps between evaluations
Fields = Mapping[str, object]  # fields of the config, which have values of several types

COMMON: Fields = {
    "data.dataset": "lol",
    "data.holdout": (0.1, 0.0),
    "data.loader": "in_memory",
    "train.ema_decay": 0.999,
    "eval.every": EVERY,
    "eval.panels": 0,
    "checkpoint.every": EVERY // 4,
    "log_every": 50,
}
OWN: Mapping[str, Fields] = {
    "lw_drgn": {},
    "ultrabm": {"model.semantic": "none", "loss.lambda_p": 0.0, "model.dtype": "bfloat16"},
    "lolisrflow": {"train.warmup": 500},
}
QUICK: Fields = {  # UltraBM without its large parts
    "model.variant": "small",
    "model.dtype": "float32",
    "model.stream": "one",
    "model.isdm": "none",
    "model.upsampler": "bilinear",
    "data.batch_size": 2,
    "data.patch_size": 16,
    "data.holdout": (0.0, 0.0),
    "train.stages": (),
    "checkpoint.every": 5,
    "eval.every": 0,
    "log_every": 1,
}


class Row(TypedDict):
    """The state of a run after this call."""

    step: int  # 0: no step is finished
    images_per_second: float | None
    scores: dict[str, float]  # of the newest evaluation, on the images held out of the training set
    scored_step: int


def make_config(network: str, root: Path, *, quick: bool = False) -> ConfigDict:
    """The config of a run on the LOL folder `root`."""
    from ultrabm_jax.config_flags import read_config

    config = read_config(CONFIG[network])
    fields = {**COMMON, **OWN[network], "train.steps": STEPS[network], "data.root": str(root)}
    config.update_from_flattened_dict(fields | (QUICK if quick else {}))
    return config


def train(network: str, root: Path, workdir: Path, *, quick: bool = False) -> None:
    """Trains until SIGTERM, at which the run saves a checkpoint, or until its last step."""
    from ultrabm_jax.training import train_and_evaluate

    train_and_evaluate(make_config(network, root, quick=quick), workdir)


def state_of(workdir: Path) -> Row:
    """What train.jsonl and the folder of checkpoints say about a run; imports nothing of JAX."""
    row: Row = {"step": 0, "images_per_second": None, "scores": {}, "scored_step": 0}
    saved = [int(path.name) for path in workdir.glob("checkpoints/*") if path.name.isdigit()]
    row["step"] = max(saved, default=0)
    log = workdir / "train.jsonl"
    for line in log.read_text().splitlines() if log.exists() else []:
        try:
            values = json.loads(line)
        except ValueError:  # the last line of a run that was killed
            continue
        row["images_per_second"] = values.get("images_per_second", row["images_per_second"])
        scores = {name.removeprefix("eval/"): value for name, value in values.items() if name.startswith("eval/")}
        if scores:
            row["scores"], row["scored_step"] = scores, values["step"]
    return row
