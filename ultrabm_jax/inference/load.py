"""`ultrabm_jax.load_pretrained`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import jax

from ultrabm_jax.inference.described import is_weight_file, load_described
from ultrabm_jax.inference.named import load_named
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.pretrained import DEFAULT_MODEL


def load_pretrained(
    name: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    tile: int | None = None,
    overlap: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Restorer:
    """The model `name` as a `Restorer`: one of this package, one that its authors released, or a training run.

    name: see `restore.py --list-models`; released weights are downloaded on first use. A path with a separator, or one
    of a folder with config.json, is the workdir of a training run; FILE.safetensors and FILE.pth are files of
    `ultrabm-jax export`.
    tile, overlap, devices: as for `Restorer`.
    Raises UserError for an unknown name, listing the known ones.
    """
    if is_weight_file(name):
        task, variables = load_described(Path(name))
    elif os.sep in str(name) or (Path(name) / "config.json").is_file():
        from ultrabm_jax.inference.runs import load_trained  # imports Orbax, which bundled models do not need

        run = load_trained(os.fspath(name))
        task, variables = run.task, run.variables
    else:
        task, variables = load_named(str(name))
    return Restorer(task, variables, tile=tile, overlap=overlap, devices=devices)
