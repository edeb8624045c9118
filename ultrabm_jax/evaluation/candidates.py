"""The methods that an evaluation compares: the variants of the trained network, then the baselines.

A candidate maps a batch of whole images, in floats, to (b, s h, s w, 3) in [0, 1]:

    low        (b, h, w, 3) in [0, 1], or a mosaic (b, h, w, 1), 0 at black and 1 at white, not amplified
    ratio      (b,) of mosaics: exposure of the reference over exposure of the mosaic
    period     of mosaics: side of the repeating filter array, 2 for Bayer and 6 for X-Trans
    index      (b,) of the images in the data set

The variants of a network are those of `Task.variants`, such as sampling temperatures or kinds of amplification. RGB
images: the network, NETWORK+ (mean over the eight flips and rotations, if eval.ensemble), and the methods of
eval.baselines. Mosaics: the network, `demosaiced`, the amplified mosaic without any network, and of eval.baselines the
folders, the workdirs of runs on mosaics and `red`, RED with its released weights, as `red_released`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.baselines import Baseline, is_enhancer, load_network, make_baseline
from ultrabm_jax.evaluation.ensemble import ensemble
from ultrabm_jax.evaluation.folder_method import PREFIX, find_files, parse_folder, read_restored
from ultrabm_jax.inference.named import RAW_MODEL, load_released
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.inference.runs import Run
from ultrabm_jax.models.task import Task, Variant
from ultrabm_jax.raw.cfa import cfa_of_period
from ultrabm_jax.raw.rendering import mosaic_preview
from ultrabm_jax.typing import HostBatch, InputKind, Variables

if TYPE_CHECKING:
    from input_pipeline.sources.base import PairSource

Candidate: TypeAlias = Callable[[HostBatch], np.ndarray]

ENSEMBLE = "+"  # suffix of the mean over flips and rotations
KINDS: dict[InputKind, str] = {"rgb": "RGB images", "mosaic": "mosaics"}


def candidates(config: ConfigDict, run: Run | None, source: PairSource) -> dict[str, Candidate]:
    """{name: candidate} for the images of `source`, the network first; without a run, only the baselines.

    Raises UserError for a network or a method of eval.baselines that does not fit, and for names that occur twice.
    """
    kind = source.input_kind
    if run is not None and run.task.input_kind != kind:
        task = run.task
        raise UserError(f"{config.data.dataset} holds {KINDS[kind]}, but {task.name} restores {KINDS[task.input_kind]}")
    if kind == "mosaic" and config.eval.ensemble:
        raise UserError("eval.ensemble flips and rotates images, which would exchange the colours of a mosaic")
    methods = {} if run is None else _variants(config, run.task, run.variables, run.task.name)
    if run is not None and config.eval.ensemble:
        methods[f"{run.task.name}{ENSEMBLE}"] = partial(_ensemble, methods[run.task.name])
    if kind == "mosaic":
        methods["demosaiced"] = _demosaiced
    scale = int((config if run is None else run.config).model.scale)
    for field in config.eval.baselines:
        named = _baseline(field, config, scale, source)
        if twice := sorted(methods.keys() & named.keys()):
            raise UserError(f"eval.baselines: there is already a method {twice[0]}")
        methods |= named
    return methods


def variant_names(config: ConfigDict, run: Run) -> list[str]:
    """The names of the network's own `candidates`: its variants, and their ensemble."""
    suffixes = [*run.task.variants(config.eval), *([ENSEMBLE] if config.eval.ensemble else [])]
    return [f"{run.task.name}{suffix}" for suffix in suffixes]


def _variants(config: ConfigDict, task: Task, variables: Variables, name: str) -> dict[str, Candidate]:
    """A network, under `name`, and its variants."""
    restorer = Restorer(task, variables, exact=True)
    variants = task.variants(config.eval).items()
    return {f"{name}{suffix}": partial(_restored, restorer, variant) for suffix, variant in variants}


def _baseline(field: str, config: ConfigDict, scale: int, source: PairSource) -> dict[str, Candidate]:
    """The methods of one entry of eval.baselines: one, or the variants of a network; for mosaics also none."""
    if field.startswith(PREFIX):
        name, path = parse_folder(field)
        images = [source.name(i) for i in range(len(source))]
        return {name: partial(_read_all, [find_files(path, images)[image] for image in images], scale)}
    if source.input_kind == "mosaic":
        return _mosaic_baseline(field, config)
    run = load_network(field)
    if run is not None and run.task.input_kind == "rgb" and run.task.scale == scale:
        return _variants(config, run.task, run.variables, field)
    return {field: partial(_each, make_baseline(field, scale=scale, assets=config.data.assets, run=run))}


def _mosaic_baseline(field: str, config: ConfigDict) -> dict[str, Candidate]:
    """Released RED or a run on mosaics; none for entries that restore RGB images, such as the default ones.

    Raises UserError for an unknown entry.
    """
    if field == RAW_MODEL:
        return _variants(config, *load_released(RAW_MODEL, assets=config.data.assets), f"{RAW_MODEL}_released")
    if is_enhancer(field):
        return {}
    run = load_network(field)
    if run is None:
        raise UserError(
            f"unknown method {field!r}; known for mosaics: {RAW_MODEL}, a training run's folder, folder:NAME=PATH"
        )
    if run.task.input_kind != "mosaic":
        return {}
    return _variants(config, run.task, run.variables, field)


def _restored(restorer: Restorer, variant: Variant, batch: HostBatch) -> np.ndarray:
    maps = variant(batch)
    return restorer.many(maps.pop("low"), maps=maps)


def _ensemble(candidate: Candidate, batch: HostBatch) -> np.ndarray:
    return ensemble(lambda low: candidate({"low": low}), batch["low"])


def _each(baseline: Baseline, batch: HostBatch) -> np.ndarray:
    return np.stack([baseline(low) for low in batch["low"]])


def _read_all(files: Sequence[Path], scale: int, batch: HostBatch) -> np.ndarray:
    height, width = batch["low"].shape[1:3]
    return np.stack([read_restored(files[int(i)], (scale * height, scale * width)) for i in batch["index"]])


def _demosaiced(batch: HostBatch) -> np.ndarray:
    mosaics = batch["low"] * batch["ratio"][:, None, None, None]
    cfa = cfa_of_period(int(batch["period"]))
    return np.stack([mosaic_preview(x[..., 0], cfa=cfa) for x in mosaics])
