"""Reads evaluations from folders, and decides which cells of a paper's table their values fill.

A value fills a cell only if its data set, split, scale and protocol are those of the cell's condition, and its method's
name (in ablations, its config too) is that of the row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ultrabm_jax.deprecation import rename_saved
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.score_table import Scores
from ultrabm_jax.models import MODELS
from ultrabm_jax.report.published import Condition, Quantity, Table
from ultrabm_jax.report.summary import Summary, methods_of

REQUIRED_KEYS = {"model", "dataset", "scale", "count", "mean", "baselines"}


@dataclass(frozen=True)
class Evaluation:
    """The content of one metrics.json; `methods`: name -> {protocol: mean}, the trained model first."""

    path: str
    summary: Summary
    methods: Mapping[str, Scores]

    @property
    def model(self) -> str:
        """The name of the first method."""
        return next(iter(self.methods))

    @property
    def trained(self) -> bool:
        """Whether a trained model was measured; without a checkpoint, only baselines were."""
        return self.summary.get("step") is not None

    def field(self, name: str) -> object:
        """The config's field `name`, such as "model.variant"; None if there is none."""
        value: object = self.summary.get("config") or {}
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    @property
    def split(self) -> str:
        """The split that was measured; "eval_root" and its name if it was the folder data.eval_root."""
        if "split" in self.summary:
            return self.summary["split"]
        if self.field("data.eval_root"):
            return "eval_root"
        named = self.field("data.eval_split")
        return "test" if named in (None, "auto") else str(named)

    def fits(self, condition: Condition) -> bool:
        """Whether data set, split and scale are those of the condition."""
        if self.summary["scale"] != condition.scale:
            return False
        if condition.any_dataset:
            return True
        return self.summary["dataset"] == condition.dataset and self.split == condition.split

    def value(self, method: str, quantity: Quantity) -> str | None:
        """The value as text; "n/a" if it was requested but is not available, None if it was not measured."""
        if quantity.protocol is None:
            return None
        found: Mapping[str, object] = self.methods[method]
        if quantity.protocol.startswith("speed."):
            found = (self.summary.get("speed") or {}) if method == self.model and self.trained else {}
        key = quantity.protocol.removeprefix("speed.")
        if key not in found:
            return None
        value = found[key]
        return f"{float(value) / quantity.unit:.3f}" if isinstance(value, float | int | str) else "n/a"

    def rows(self, table: Table) -> dict[str, str]:
        """Row of the table -> method of this evaluation; methods without a row get one of their own name."""
        own = {row: method for row, method in table.methods.items() if self._belongs(table, row, method)}
        if table.extras:
            own |= {method: method for method in self.methods if method not in table.methods.values()}
        return own

    def _belongs(self, table: Table, row: str, method: str) -> bool:
        return method in self.methods and all(
            _same(self.field(name), expected) for name, expected in table.required.get(row, {}).items()
        )

    def differences(self, table: Table) -> list[str]:
        """The fields in which the config differs from the paper's, if the table is about this model."""
        if not self.trained or self.field("model.name") != table.network:
            return []
        found = {name: self.field(name) for name in table.paper_config}
        return [
            f"{name}={found[name]} (paper: {expected})"
            for name, expected in table.paper_config.items()
            if not _same(found[name], expected)
        ]


def _same(found: object, expected: object) -> bool:
    return bool(found) is expected if isinstance(expected, bool) else found == expected


def find_evaluations(folders: Sequence[str]) -> list[Evaluation]:
    """The evaluations in evaluation folders, workdirs, and folders of either, each once.

    Raises UserError if a folder has none.
    """
    found: dict[Path, Evaluation] = {}
    for folder in map(Path, folders):
        paths = [path for path in _metrics_files(folder) if path.is_file()]
        if not paths:
            raise UserError(f"{folder}: no evaluation (metrics.json) found; create one with eval.py --workdir {folder}")
        found |= {path.resolve(): _read(path) for path in paths if path.resolve() not in found}
    return list(found.values())


def _metrics_files(folder: Path) -> Iterable[Path]:
    for pattern in ("metrics.json", "eval/metrics.json", "*/metrics.json", "*/eval/metrics.json"):
        yield from sorted(folder.glob(pattern))


def _read(path: Path) -> Evaluation:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the metrics.json of an evaluation ({error})") from error
    missing = REQUIRED_KEYS - set(summary) if isinstance(summary, dict) else REQUIRED_KEYS
    if missing:
        raise UserError(f"{path}: not the metrics.json of an evaluation, {', '.join(sorted(missing))} missing")
    rename_saved(summary.get("config") or {})  # evaluations by an earlier release
    methods = methods_of(summary, summary["model"])
    return Evaluation(str(path.parent), summary, _name_first_variant(summary, methods))


def _name_first_variant(summary: Summary, methods: Mapping[str, Scores]) -> dict[str, Scores]:
    """Gives the first variant of a network, which has the bare name "red", a name as the others have: "red_ratio"."""
    config = summary.get("config") or {}
    model = (config.get("model") or {}).get("name")
    task = MODELS[model].task if model in MODELS else None
    suffix = task.first_variant(config.get("eval") or {}) if task else ""
    return {f"{model}{suffix}" if name == model else name: scores for name, scores in methods.items()}
