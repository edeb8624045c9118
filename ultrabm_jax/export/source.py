"""The model to export: its network, variables, licence and origin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ultrabm_jax.buckets import absolute, open_path
from ultrabm_jax.inference.named import ALIASES, RELEASED, load_named
from ultrabm_jax.inference.runs import load_trained
from ultrabm_jax.models.task import Task
from ultrabm_jax.pretrained import CARD, list_pretrained, pretrained_weights
from ultrabm_jax.pretrained.cards import read_card
from ultrabm_jax.storage.asset_table import ASSETS
from ultrabm_jax.typing import Variables


class Source(NamedTuple):
    """A model; `name` is the stem of its files, `licence` "" if unknown, `origin` what it was exported from."""

    name: str
    task: Task
    variables: Variables  # as trained or released, without recorded statistics
    licence: str
    origin: str


def open_source(name: str, *, checkpoint: str = "best") -> Source:
    """The model of a name of `ultrabm-jax models`, or of the workdir of a training run at `checkpoint`.

    Raises UserError for an unknown name, listing the known ones.
    """
    if os.sep in name or (Path(name) / "config.json").is_file():
        run = load_trained(name, checkpoint)
        folder = absolute(open_path(name)).name
        return Source(folder, run.task, _kept(run.variables), "", f"training run, step {run.step}")
    task, variables = load_named(name)
    released = ALIASES.get(name, name)
    if name in list_pretrained():
        licence = read_card(pretrained_weights(name).with_suffix(CARD)).licence
    else:
        licence = ASSETS[released].licence if released in RELEASED else ""
    return Source(Path(name).stem, task, _kept(variables), licence, f"model {released}")


def _kept(variables: Variables) -> Variables:
    return {name: value for name, value in variables.items() if name != "statistics"}


def describe_size(size: tuple[int, int] | None, multiple: int) -> str:
    """The image sizes that a program takes; None: all whose sides are multiples of `multiple`."""
    return f"sides that are multiples of {multiple}" if size is None else f"{size[0]}x{size[1]} pixels (height x width)"
