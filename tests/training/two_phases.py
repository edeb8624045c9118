"""Run by test_phases.py: DRGN with tiny networks, stopped before and at its switch. Prints one JSON object.

two_phases.py FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from PIL import Image
from tiny import digest

import input_pipeline
from configs import lw_drgn_lol_small
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.typing import HostBatch

SWITCH, STEPS = 3, 6
SETTINGS = {
    "data.dataset": "paired",
    "data.loader": "threads",
    "data.workers": 1,
    "data.batch_size": 2,
    "data.patch_size": 16,
    "train.steps": STEPS,
    "train.stages": (),
    "train.deg_share": SWITCH / STEPS,
    "train.ema_decay": 0.5,
    "discriminator.width": 1,
    "discriminator.norm": "none",
    "eval.every": 0,
    "eval.count": 1,
    "eval.panels": 0,
    "checkpoint.every": 1,
    "log_every": 1,
}


def settings(folder: Path, **overrides: object) -> ConfigDict:
    config = lw_drgn_lol_small.get_config()
    config.model.update({"width": 4, "groups": 1, "depth": 1, "reduction": 2})
    roots = {f"data.{name}": str(folder / "pairs") for name in ("root", "eval_root")}
    config.update_from_flattened_dict(SETTINGS | roots | {"data.photos": str(folder / "pairs" / "high")} | overrides)
    return config


def write_pairs(folder: Path, size: tuple[int, int] = (20, 24)) -> None:
    rng = np.random.default_rng(0)
    for kind, level in (("low", 60), ("high", 256)):
        (folder / "pairs" / kind).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, level, (*size, 3), np.uint8)).save(folder / "pairs" / kind / f"{i}.png")


def stopped(config: ConfigDict, workdir: Path, stop: int) -> None:
    """Trains until step `stop` is saved and the next one is done."""
    batches = input_pipeline.train_batches

    def until(*args: object, start_step: int, **kwargs: object) -> Iterator[HostBatch]:
        for step, batch in enumerate(batches(*args, start_step=start_step, **kwargs), start_step):
            if step == stop + 1:
                raise KeyboardInterrupt
            yield batch

    input_pipeline.train_batches = until
    try:
        train_and_evaluate(config, workdir)
    except KeyboardInterrupt:
        pass
    finally:
        input_pipeline.train_batches = batches


def main(folder: Path) -> None:
    write_pairs(folder)
    config, report = settings(folder), {}
    report["whole"] = digest(train_and_evaluate(config, folder / "whole").saved())
    for stop in (SWITCH - 1, SWITCH):
        workdir = folder / str(stop)
        stopped(config, workdir, stop)
        report[str(stop)] = digest(train_and_evaluate(config, workdir).saved())
    run = load_run(folder / "whole")
    report["variables"] = {name: sorted(tree) for name, tree in run.variables.items()}
    workdir = folder / str(SWITCH)
    state = train_and_evaluate(settings(folder, **{"train.steps": 3 * STEPS}), workdir)
    report["longer"] = {"step": int(state.step), "switch": int(state.opt_state.switch)}
    report["log"] = (workdir / "train.jsonl").read_text()
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
