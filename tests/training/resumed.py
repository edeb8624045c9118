"""Run by test_soak.py: a run of a real network that is stopped and resumed. Prints one JSON object.

resumed.py MODEL FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict
from tiny import digest
from two_phases import stopped, write_pairs

from configs import lolisrflow_lol_x2_small, red_synthetic, ultrabm_lol_x2_small
from input_pipeline import synthesize_sid
from ultrabm_jax.training import train_and_evaluate

STEPS, STOPS = 4, (1, 2)  # the flow's second step is its first that trains
COMMON = {
    "data.loader": "threads",
    "data.workers": 1,
    "data.batch_size": 2,
    "train.steps": STEPS,
    "train.ema_decay": 0.5,
    "eval.every": 0,
    "eval.count": 1,
    "eval.panels": 0,
    "checkpoint.every": 1,
    "log_every": 1,
}


def paired(folder: Path) -> dict[str, object]:
    write_pairs(folder, size=(40, 48))
    root = str(folder / "pairs")
    return {"data.dataset": "paired", "data.root": root, "data.eval_root": root}


def ultrabm(folder: Path) -> ConfigDict:
    config = ultrabm_lol_x2_small.get_config()
    config.model.isdm = "no_smu"
    config.update_from_flattened_dict(paired(folder) | {"data.patch_size": 16, "train.mixup_probability": 0.5})
    return config


def lolisrflow(folder: Path) -> ConfigDict:
    config = lolisrflow_lol_x2_small.get_config()
    config.model.update({"width": 8, "hidden": 4, "steps": 1, "levels": 1, "stages": 1, "blocks": 1})
    config.update_from_flattened_dict(paired(folder) | {"data.patch_size": 8, "train.warmup": 1})
    return config


def red(folder: Path) -> ConfigDict:
    write_pairs(folder, size=(64, 96))
    raw, photos = str(folder / "raw"), str(folder / "pairs" / "high")
    for split in ("train", "test"):
        synthesize_sid.main([photos, "--output", raw, "--split", split])
    config = red_synthetic.get_config()
    config.model.dense_layers = (1, 1, 1)
    config.update_from_flattened_dict({"data.root": raw, "data.patch_size": 32, "loss.lambda_ms": 0.0})
    return config


CONFIGS: dict[str, Callable[[Path], ConfigDict]] = {"ultrabm": ultrabm, "red": red, "lolisrflow": lolisrflow}


def main(name: str, folder: Path) -> None:
    config = CONFIGS[name](folder)
    config.update_from_flattened_dict(COMMON)
    report = {"whole": digest(train_and_evaluate(config, folder / "whole").saved())}
    for stop in STOPS:
        stopped(config, folder / str(stop), stop)
        report[str(stop)] = digest(train_and_evaluate(config, folder / str(stop)).saved())
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
