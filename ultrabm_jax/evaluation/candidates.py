"""The methods that an evaluation compares: the variants of the trained network, then the baselines.

A candidate maps a batch of whole images, in floats, to (b, s h, s w, 3) in [0, 1]:

    low        (b, h, w, 3) in [0, 1], or a mosaic (b, h, w, 1), 0 at black and 1 at white, not amplified
    ratio      (b,) of mosaics: exposure of the reference over exposure of the mosaic
    period     of mosaics: side of the repeating filter array, 2 for Bayer and 6 for X-Trans

The network's variants are those of `Task.variants`, such as sampling temperatures or kinds of amplification. RGB
images: the network, NETWORK+ (mean over the eight flips and rotations, if eval.ensemble), and the methods of
eval.baselines. Mosaics: the network, and `demosaiced`, the amplified mosaic without any network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.baselines import Baseline, make_baseline
from ultrabm_jax.evaluation.ensemble import ensemble
from ultrabm_jax.inference.restorer import Restorer
from ultrabm_jax.inference.runs import Run
from ultrabm_jax.models.task import Variant
from ultrabm_jax.raw.cfa import cfa_of_period
from ultrabm_jax.raw.rendering import mosaic_preview
from ultrabm_jax.typing import HostBatch, InputKind

Candidate: TypeAlias = Callable[[HostBatch], np.ndarray]

KINDS: dict[InputKind, str] = {"rgb": "RGB images", "mosaic": "mosaics"}


def candidates(config: ConfigDict, run: Run | None, *, kind: InputKind) -> dict[str, Candidate]:
    """{name: candidate}, the network first; without a run, only the baselines. `kind`: what the data set holds."""
    if run is not None and run.task.input_kind != kind:
        task = run.task
        raise UserError(f"{config.data.dataset} holds {KINDS[kind]}, but {task.name} restores {KINDS[task.input_kind]}")
    if kind == "mosaic" and config.eval.ensemble:
        raise UserError("eval.ensemble flips and rotates images, which would exchange the colours of a mosaic")
    own = {} if run is None else _ways_of_use(config, run)
    return own | ({"demosaiced": _demosaiced} if kind == "mosaic" else _compared(config, run))


def _ways_of_use(config: ConfigDict, run: Run) -> dict[str, Candidate]:
    restorer, name = Restorer(run.task, run.variables, exact=True), run.task.name
    ways: dict[str, Candidate] = {
        f"{name}{suffix}": partial(_restored, restorer, variant)
        for suffix, variant in run.task.variants(config.eval).items()
    }
    if config.eval.ensemble:
        ways[f"{name}+"] = partial(_ensemble, ways[name])
    return ways


def _compared(config: ConfigDict, run: Run | None) -> dict[str, Candidate]:
    scale = int((config if run is None else run.config).model.scale)
    names = config.eval.baselines
    return {name: partial(_each, make_baseline(name, scale=scale, assets=config.data.assets)) for name in names}


def _restored(restorer: Restorer, variant: Variant, batch: HostBatch) -> np.ndarray:
    maps = variant(batch)
    return restorer.many(maps.pop("low"), maps=maps)


def _ensemble(candidate: Candidate, batch: HostBatch) -> np.ndarray:
    return ensemble(lambda low: candidate({"low": low}), batch["low"])


def _each(baseline: Baseline, batch: HostBatch) -> np.ndarray:
    return np.stack([baseline(low) for low in batch["low"]])


def _demosaiced(batch: HostBatch) -> np.ndarray:
    mosaics = batch["low"] * batch["ratio"][:, None, None, None]
    cfa = cfa_of_period(int(batch["period"]))
    return np.stack([mosaic_preview(x[..., 0], cfa=cfa) for x in mosaics])
