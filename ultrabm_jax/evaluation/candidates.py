"""The methods that an evaluation sets side by side: the trained model in its ways of use, then what it has to beat.

A candidate takes a batch of whole images as floats and gives (b, s h, s w, 3) in [0, 1]:

    low        (b, h, w, 3) in [0, 1], or a mosaic (b, h, w, 1), 0 at black and 1 at white, not amplified
    ratio      (b,) by how much longer the reference of a mosaic was exposed
    cfa        of a mosaic: "bayer" or "xtrans"

Photos: the model, MODEL+ (mean over the eight flips and turns, if eval.ensemble), and eval.baselines. LoLiSRFlow
is sampled at each of eval.temperatures, named MODEL for the first and MODEL_tT for the others.

Mosaics: one candidate for each of eval.amplify, named MODEL for the first and MODEL_KIND for the others:

    ratio      the ratio of the exposures, which a user does not know                       RED, Table 1
    auto       amplification_code with amp_factor 0.05, of the mosaic's own values           RED, Table 2
    paper      amplification_paper at m = 0.5                                               RED, section 3.2

and `demosaiced`, the amplified mosaic without any network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.ensemble import ensemble
from ultrabm_jax.inference.raw_files import AUTOMATIC, amplification, make_raw_restorer, restore_mosaics
from ultrabm_jax.inference.restorer import make_restorer
from ultrabm_jax.inference.sampling import Sampler
from ultrabm_jax.models.lolisrflow.network import LoLiSRFlow
from ultrabm_jax.models.red.network import RED
from ultrabm_jax.raw.preview import mosaic_preview

Batch = Mapping[str, Any]
Candidate = Callable[[Batch], np.ndarray]
Restore = Callable[[np.ndarray], np.ndarray]  # low (b, h, w, 3) -> (b, s h, s w, 3)


def candidates(config: Any, run: Any, *, raw: bool) -> dict[str, Candidate]:
    """{name: candidate}, the model first; `run` None: only what is compared. `raw`: the data set holds mosaics."""
    if run is not None and isinstance(run.model, RED) != raw:
        kinds = ("photos", "mosaics")
        name, has, wants = run.config.model.name, kinds[raw], kinds[not raw]
        raise UserError(f"{config.data.dataset} holds {has}, but {name} restores {wants}")
    if raw:
        return _of_mosaics(config.eval, run)
    return _of_photos(config, run)


def _of_photos(config: Any, run: Any) -> dict[str, Candidate]:
    from ultrabm_jax.evaluation.baselines import make_baseline

    found: dict[str, Candidate] = {}
    if run is not None:
        name, ways = str(run.config.model.name), _ways(config.eval, run)
        if config.eval.ensemble:
            ways[f"{name}+"] = partial(ensemble, ways[name])
        found |= {way: partial(_of_low, restore) for way, restore in ways.items()}
    scale = int((config if run is None else run.config).model.scale)
    for name in config.eval.baselines:
        found[name] = _each(make_baseline(name, scale=scale, assets=config.data.assets))
    return found


def _ways(options: Any, run: Any) -> dict[str, Restore]:
    """What the model itself gives: one restoration, or samples at each of the temperatures."""
    name = str(run.config.model.name)
    if not isinstance(run.model, LoLiSRFlow):
        return {name: make_restorer(run.model, run.variables).many}
    ways: dict[str, Restore] = {}
    for temperature in options.get("temperatures", (0.0,)):
        sampler = Sampler(run.model, run.variables, temperature=temperature)
        ways[f"{name}_t{temperature:g}" if ways else name] = sampler.many
    return ways


def _of_low(restore: Restore, batch: Batch) -> np.ndarray:
    return restore(batch["low"])


def _each(function: Callable[[np.ndarray], np.ndarray]) -> Candidate:
    return lambda batch: np.stack([function(low) for low in batch["low"]])


def _of_mosaics(options: Any, run: Any) -> dict[str, Candidate]:
    if options.ensemble:
        raise UserError("eval.ensemble turns images, which would exchange the colours of a mosaic")
    unknown = set(options.amplify) - {"ratio", *AUTOMATIC}
    if unknown or not options.amplify:
        raise UserError(f"eval.amplify={tuple(options.amplify)!r}: one or several of ratio, {', '.join(AUTOMATIC)}")
    found: dict[str, Candidate] = {}
    if run is not None:
        restorer, name = make_raw_restorer(run.model, run.variables), str(run.config.model.name)
        for kind in options.amplify:
            restore = partial(restore_mosaics, restorer, run.model)
            found[f"{name}_{kind}" if found else name] = _amplified(restore, kind)
    found["demosaiced"] = _demosaiced
    return found


def _amplified(restore: Callable[..., np.ndarray], kind: str) -> Candidate:
    def candidate(batch: Batch) -> np.ndarray:
        mosaics = batch["low"][..., 0]
        ratios = batch["ratio"] if kind == "ratio" else [amplification(kind, x) for x in mosaics]
        return restore(mosaics, ratios)

    return candidate


def _demosaiced(batch: Batch) -> np.ndarray:
    mosaics = batch["low"] * batch["ratio"][:, None, None, None]
    return np.stack([mosaic_preview(x[..., 0], cfa=batch["cfa"]) for x in mosaics])
