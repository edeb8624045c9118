"""Evaluations that lie in folders, and where their values belong in a table of a paper.

A value belongs to a condition if its data set, split, scale and protocol are that condition's, and to a row by the
method's name and, in ablations, by the fields of its config. Nothing else fills a cell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrabm_jax.errors import UserError
from ultrabm_jax.report.published import Condition, Quantity, Table

KEYS = {"model", "dataset", "scale", "count", "mean", "baselines"}


@dataclass(frozen=True)
class Evaluation:
    """The content of one metrics.json; `methods`: name -> {protocol: mean}, the trained model first."""

    path: str
    summary: Mapping[str, Any]
    methods: Mapping[str, Mapping[str, Any]]

    @property
    def model(self) -> str:
        """Name of the first method."""
        return next(iter(self.methods))

    @property
    def trained(self) -> bool:
        """False where only given methods were measured: then there is no checkpoint."""
        return self.summary.get("step") is not None

    def field(self, name: str) -> Any:
        """config.`name`, such as "model.variant"; None where the run has no such field."""
        value: Any = self.summary.get("config") or {}
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def fits(self, condition: Condition) -> bool:
        if self.summary["scale"] != condition.scale:
            return False
        if condition.anywhere:
            return True
        own_split = not self.field("data.eval_root") and self.field("data.eval_split") in (None, condition.split)
        return self.summary["dataset"] == condition.dataset and own_split

    def value(self, method: str, quantity: Quantity) -> str | None:
        """As text, "n/a" where it was asked for and not available; None where it was not measured."""
        if quantity.ours is None:
            return None
        if quantity.ours.startswith("speed."):
            found = (self.summary.get("speed") or {}) if method == self.model and self.trained else {}
        else:
            found = self.methods[method]
        key = quantity.ours.removeprefix("speed.")
        if key not in found:
            return None
        return "n/a" if found[key] is None else f"{float(found[key]) / quantity.divide:.3f}"

    def rows(self, table: Table) -> dict[str, str]:
        """Row of the table -> method of this evaluation; extra methods get rows of their own names."""
        own = {row: method for row, method in table.ours.items() if self._belongs(table, row, method)}
        if table.extras:
            own |= {method: method for method in self.methods if method not in table.ours.values()}
        return own

    def _belongs(self, table: Table, row: str, method: str) -> bool:
        return method in self.methods and all(
            _same(self.field(name), wanted) for name, wanted in table.exact.get(row, {}).items()
        )

    def differences(self, table: Table) -> list[str]:
        """What the model has otherwise than the paper's, if the table is about it."""
        if not self.trained or self.field("model.name") != table.network:
            return []
        found = {name: self.field(name) for name in table.said}
        return [
            f"{name}={found[name]} (paper: {wanted})"
            for name, wanted in table.said.items()
            if not _same(found[name], wanted)
        ]


def _same(found: Any, wanted: Any) -> bool:
    return bool(found) is wanted if isinstance(wanted, bool) else found == wanted


def find_evaluations(folders: Sequence[str]) -> list[Evaluation]:
    """Of evaluation folders, workdirs, and folders of either; an evaluation is read once."""
    found: dict[Path, Evaluation] = {}
    for folder in map(Path, folders):
        paths = [path for path in _candidates(folder) if path.is_file()]
        if not paths:
            raise UserError(f"{folder}: no evaluation (metrics.json) here; make one with eval.py --workdir {folder}")
        found |= {path.resolve(): _read(path) for path in paths if path.resolve() not in found}
    return list(found.values())


def _candidates(folder: Path) -> Iterable[Path]:
    for pattern in ("metrics.json", "eval/metrics.json", "*/metrics.json", "*/eval/metrics.json"):
        yield from sorted(folder.glob(pattern))


def _read(path: Path) -> Evaluation:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the metrics.json of an evaluation ({error})") from error
    missing = KEYS - set(summary) if isinstance(summary, dict) else KEYS
    if missing:
        raise UserError(f"{path}: not the metrics.json of an evaluation, {', '.join(sorted(missing))} missing")
    methods = {summary["model"]: summary["mean"], **summary["baselines"]}
    return Evaluation(str(path.parent), summary, _name_amplification(summary, methods))


def _name_amplification(summary: Mapping[str, Any], methods: Mapping[str, Any]) -> dict[str, Any]:
    """The first way of amplifying gives its method the bare name; here "red" says which it was: "red_ratio"."""
    config = summary.get("config") or {}
    amplify = (config.get("eval") or {}).get("amplify") or ()
    bare = (config.get("model") or {}).get("name")
    if bare != "red" or not amplify:
        return dict(methods)
    return {f"{bare}_{amplify[0]}" if name == bare else name: scores for name, scores in methods.items()}
