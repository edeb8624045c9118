"""Evaluates a trained model beside the baselines: metrics.json, per_image.csv, restored/*.png and report/index.html.

Every method is measured on 8-bit pictures, the model on those of restored/, so each number can be computed again from
the files; nothing is aligned to the reference. Means are over pictures; `std` is the model's population standard
deviation over pictures.

metrics.json is strict JSON: a value that is infinite (PSNR of identical pictures) is the string "inf"; one that is not
available is null, and `unavailable` has the reason by protocol. `step` is the checkpoint's; `groups` is there where the
data set has exposure levels.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import json
import math
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jax
import numpy as np

from ultrabm_jax.baselines import BASELINES
from ultrabm_jax.cli import progress
from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.image_files import quantise, write_png
from ultrabm_jax.inference.restorer import Restorer, make_restorer
from ultrabm_jax.inference.trained import load_trained
from ultrabm_jax.metrics import METRICS, compute
from ultrabm_jax.report import Row, write_page
from ultrabm_jax.report.pictures import evenly, thumbnail
from ultrabm_jax.report.svg import read_log

SHOWN = 24  # pictures of the page, at most; each costs about 0.2 MB
PACKAGES = ("ultrabm_jax", "jax", "jaxlib", "flax", "numpy", "pillow")

Scores = dict[str, float | None]  # protocol: value


@dataclasses.dataclass(frozen=True)
class Measured:
    """One picture: its place in the data set, the scores of each method, and small copies for the page."""

    name: str
    group: str | None
    scores: dict[str, Scores]
    thumbnails: dict[str, str] = dataclasses.field(default_factory=dict)


class Protocols:
    """The protocols of an evaluation; one that fails is given up for all pictures, and the reason kept."""

    def __init__(self, names: Sequence[str], *, assets: str | None = None) -> None:
        self.assets = assets
        self.metrics = {name: _metric(name) for name in names}
        self.higher_is_better = {name: metric.higher_is_better for name, metric in self.metrics.items()}
        self.unavailable: dict[str, str] = {}

    def scores(self, picture: str, restored: np.ndarray, reference: np.ndarray) -> Scores:
        """Of one uint8 picture (h, w, 3)."""
        return {name: self._score(name, picture, restored, reference) for name in self.higher_is_better}

    def _score(self, name: str, picture: str, restored: np.ndarray, reference: np.ndarray) -> float | None:
        if name in self.unavailable:
            return None
        try:
            metric = self.metrics[name]
            options = {"assets": self.assets} if metric.assets and self.assets else {}
            against = reference[None] if metric.full_reference else None
            return float(compute(name, restored[None], against, **options)[0])
        except UserError as error:
            self.unavailable[name] = f"{error} (at {picture})"
            return None


def _metric(name: str) -> Any:
    base = re.sub(r"_crop\d+$", "", name)
    if base not in METRICS:
        raise UserError(f"unknown protocol {name!r} in config.eval.protocols; known: {', '.join(sorted(METRICS))}")
    return METRICS[base]


def evaluate(
    config: Any, workdir: str | Path, output: str | Path | None = None, *, checkpoint: str = "best"
) -> dict[str, Any]:
    """Measures the model of `workdir` on the evaluation split of `config.data`; gives the content of metrics.json.

    `output` is `workdir`/eval by default. The model is the workdir's; `config` has to agree with it on name and scale.
    `checkpoint`: best, latest or a step.
    """
    from input_pipeline import open_source

    started = time.monotonic()
    run = load_trained(workdir, checkpoint)
    _check_same_model(config, run.config)
    scale = int(run.config.model.scale)
    source = open_source(config.data, scale=scale, split="eval")
    if not len(source):
        raise UserError(f"the evaluation split of {config.data.dataset!r} has no pictures")
    protocols = Protocols(config.eval.protocols, assets=config.data.assets)
    output = Path(workdir) / "eval" if output is None else Path(output)
    model = str(run.config.model.name)
    measured = list(_measure(source, make_restorer(run.model, run.variables), model, protocols, output / "restored"))
    summary = {
        "model": model,
        "dataset": str(config.data.dataset),
        "scale": scale,
        "count": len(measured),
        "step": int(run.step),
        **_statistics(measured, model, protocols),
        "config": _plain({**config.to_dict(), "model": run.config.model.to_dict()}),
        "versions": _versions(),
        "devices": [device.device_kind for device in jax.devices()],
        "seconds": round(time.monotonic() - started, 1),
    }
    _write(output, summary, measured, protocols, Path(workdir) / "train.jsonl")
    return summary


def _check_same_model(config: Any, trained: Any) -> None:
    for field in ("name", "scale"):
        asked, found = config.model[field], trained.model[field]
        if asked != found:
            raise UserError(f"the config asks for model.{field}={asked!r}, but the workdir was trained with {found!r}")


def _measure(source: Any, restorer: Restorer, model: str, protocols: Protocols, folder: Path) -> Iterator[Measured]:
    """Restores and measures one picture after the other; only scores and thumbnails stay in memory."""
    shown = set(evenly(len(source), SHOWN))
    for i in progress(range(len(source)), "picture", describe=source.name):
        low, reference = source.pair(i)
        pictures = {model: quantise(restorer(low.astype(np.float32) / 255), 8)}
        for name, baseline in BASELINES.items():
            pictures[name] = quantise(baseline(low.astype(np.float32) / 255, restorer.scale), 8)
        write_png(folder / f"{source.name(i)}.png", pictures[model])
        scores = {name: protocols.scores(source.name(i), picture, reference) for name, picture in pictures.items()}
        small = {"input": low, "reference": reference, **pictures} if i in shown else {}
        thumbnails = {name: thumbnail(picture) for name, picture in small.items()}
        yield Measured(source.name(i), source.group(i), scores, thumbnails)


def _statistics(measured: Sequence[Measured], model: str, protocols: Protocols) -> dict[str, Any]:
    """The keys of metrics.json that are numbers."""
    names = list(protocols.higher_is_better)
    statistics: dict[str, Any] = {
        **_means(measured, model, names),
        "std": {name: _spread([m.scores[model][name] for m in measured]) for name in names},
        "unavailable": dict(protocols.unavailable),
    }
    groups = sorted({m.group for m in measured if m.group is not None}, key=_group_order)
    if groups:
        parts = {group: [m for m in measured if m.group == group] for group in groups}
        statistics["groups"] = {g: {"count": len(part), **_means(part, model, names)} for g, part in parts.items()}
    return statistics


def _group_order(group: str) -> tuple[float, str]:
    """Exposure levels from bright to dark, other names after them."""
    try:
        return -float(group), group
    except ValueError:
        return math.inf, group


def _means(measured: Sequence[Measured], model: str, names: Sequence[str]) -> dict[str, Any]:
    def means(method: str) -> dict[str, Any]:
        return {name: _mean([m.scores[method][name] for m in measured]) for name in names}

    return {"mean": means(model), "baselines": {name: means(name) for name in BASELINES}}


def _mean(values: Sequence[float | None]) -> float | str | None:
    """A mean stands for all pictures or is not given."""
    known = [value for value in values if value is not None]
    return _json_number(float(np.mean(known))) if len(known) == len(values) else None


def _spread(values: Sequence[float | None]) -> float | str | None:
    known = [value for value in values if value is not None]
    return _json_number(float(np.std(known))) if len(known) == len(values) and np.isfinite(known).all() else None


def _json_number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _plain(value: Any) -> Any:
    """ConfigDict's tuples and NumPy numbers as JSON has them."""
    return json.loads(json.dumps(value, default=lambda x: x.item() if isinstance(x, np.generic) else str(x)))


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _write(
    output: Path, summary: Mapping[str, Any], measured: Sequence[Measured], protocols: Protocols, log: Path
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with open(output / "per_image.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "group", "method", *protocols.higher_is_better])
        for m in measured:
            for method, scores in m.scores.items():
                table.writerow([m.name, m.group or "", method, *("" if v is None else v for v in scores.values())])
    rows = [Row(m.name, f"../restored/{quote(m.name)}.png", m.thumbnails, m.scores) for m in measured if m.thumbnails]
    page = output / "report" / "index.html"
    write_page(page, summary, rows, read_log(log), higher_is_better=protocols.higher_is_better)
    # Last, so that a metrics.json that exists belongs to a whole evaluation.
    (output / "metrics.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
