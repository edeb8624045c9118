"""Reads evaluations from folders, and decides which cells of a paper's table their values fill.

A value fills a cell only if its data set, split, scale and protocol are those of the cell's condition, and its method's
name (in ablations, its config too) is that of the row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ultrabm_jax.deprecation import rename_saved
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.score_table import Scores
from ultrabm_jax.models import MODELS
from ultrabm_jax.report.published import Condition, Quantity, Table
from ultrabm_jax.report.published.table import ANY_SIZE
from ultrabm_jax.report.summary import SpeedRecord, Summary, methods_of

NOT_AVAILABLE = "n/a"
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
    def run(self) -> str:
        """The name of the folder of the run or evaluation."""
        path = Path(self.path)
        return path.parent.name if path.name == "eval" else path.name

    @property
    def trained(self) -> bool:
        """Whether a trained model was measured; without a checkpoint, only baselines were."""
        return self.efficiency_only or self.summary.get("step") is not None

    @property
    def efficiency_only(self) -> bool:
        """Whether it is a measurement of `ultrabm-jax speed`, which restores no data set."""
        return not self.summary["dataset"]

    @property
    def speed(self) -> Mapping[str, object]:
        """Operations, memory and time of the model (ultrabm_jax/evaluation/speed.py)."""
        return self.summary.get("speed") or {}

    @property
    def blocks(self) -> Mapping[str, float]:
        """The share of each block in the run time, in percent, of a file of benchmarks/red_speed.py."""
        return cast(Mapping[str, float], self.speed.get("block_percent", {}))

    @property
    def input(self) -> str:
        """The size at which they were measured."""
        return str(self.speed.get("input", "128x128"))  # the only size of earlier releases

    @property
    def own_methods(self) -> list[str]:
        """The names of the trained model and its variants."""
        if not self.trained:
            return []
        recorded = self.summary.get("own_methods") or []  # absent in evaluations by earlier releases
        return [self.model, *(name for name in recorded if name in self.methods and name != self.model)]

    @property
    def trained_on(self) -> str:
        """The data set that the model was trained on; "" if it is not recorded."""
        name = self.summary.get("trained_on") or ""
        return {"lol/v1_drgn": "lol_drgn"}.get(name, name)

    @property
    def device(self) -> str:
        """The device of measured times."""
        return str(self.speed.get("device", "not recorded"))

    def key(self, method: str) -> str:
        """The name of `method` in metrics.json."""
        return self.summary["model"] if method == self.model else method

    def amplification(self, method: str) -> str | None:
        """The kind of amplification of mosaics (ultrabm_jax/models/red/task.py); None for RGB images, folders, runs."""
        kinds = self.field("eval.amplify")
        if not isinstance(kinds, Sequence) or not kinds or self.field("model.name") != "red":
            return None
        if method == "demosaiced":
            return "ratio"
        named = [kind for kind in kinds if method.endswith(f"_{kind}")]
        first = [str(kinds[0])] if method in ("red", "red_released") else []
        return next(iter([*named, *first]), None)

    def field(self, name: str) -> object:
        """The field `name`, such as "model.variant", of the config; None if there is none.

        Fields other than those of `data` and `eval` are those with which the model was trained.
        """
        run_config = None if name.startswith(("data.", "eval.")) else self.summary.get("run_config")
        value: object = run_config or self.summary.get("config") or {}
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
        if self.efficiency_only:
            return condition.input in (self.input, ANY_SIZE)
        if condition.any_dataset:
            return True
        root = str(self.field("data.eval_root") or self.field("data.root") or "")
        if condition.folder not in Path(root).name.lower():
            return False
        return self.summary["dataset"] == condition.dataset and self.split == condition.split

    def value(self, method: str, quantity: Quantity, condition: Condition) -> str | None:
        """The value as text; "n/a" if it was requested but is not available, None if it was not measured.

        Operations, memory and time are those of the condition's size and the quantity's platform.
        """
        if quantity.protocol is None:
            return None
        found: Mapping[str, object] = self.methods[method]
        if quantity.protocol.startswith("speed."):
            found = self._efficiency(method, quantity, condition)
        key = quantity.protocol.removeprefix("speed.")
        if key not in found:
            return None
        value = found[key]
        return f"{float(value) / quantity.unit:.3f}" if isinstance(value, float | int | str) else NOT_AVAILABLE

    def _efficiency(self, method: str, quantity: Quantity, condition: Condition) -> Mapping[str, object]:
        if quantity.platform not in ("", self.speed.get("platform")):
            return {}
        if method in self.blocks:
            return {"block_percent": self.blocks[method]}
        if method != self.model or not self.trained:
            return {}
        return self.speed if quantity.protocol == "speed.parameters" or self.input == condition.input else {}

    def rows(self, table: Table) -> dict[str, str]:
        """Row of the table -> method of this evaluation; methods without a row get one of their own name."""
        methods = table.efficiency_rows if self.efficiency_only and table.efficiency_rows else table.methods
        own = {row: method for row, method in methods.items() if self._belongs(table, row, method)}
        if table.extras:
            others = self.methods.keys() - methods.values() - self.blocks.keys()
            own |= {method: method for method in self.methods if method in others}
        return own

    def _belongs(self, table: Table, row: str, method: str) -> bool:
        return method in self.methods and all(
            _same(self.field(name), expected) for name, expected in table.required.get(row, {}).items()
        )

    def differing_fields(self, table: Table, row: str, *, model: bool) -> list[str]:
        """The fields in which the config differs from the paper's: those of config.model, or the others.

        A field whose value defines the row is left out.
        """
        defining = {name for name, value in table.required.get(row, {}).items() if value is not True}
        names = [name for name in table.paper_config if name.startswith("model.") == model and name not in defining]
        return [
            f"{name}={self.field(name)} (paper: {table.paper_config[name]})"
            for name in names
            if not (self.efficiency_only and self.field(name) is None)  # released networks have no presets
            if not _same(self.field(name), table.paper_config[name])
        ]


def _same(found: object, expected: object) -> bool:
    return bool(found) is expected if isinstance(expected, bool) else found == expected


def find_evaluations(folders: Sequence[str]) -> list[Evaluation]:
    """The evaluations in evaluation folders, workdirs, and folders of either, each once.

    A JSON file of `ultrabm-jax speed` gives one for each network and size. Raises UserError if a folder has none.
    """
    found: dict[Path, Evaluation] = {}
    for folder in map(Path, folders):
        if folder.is_file():
            found |= {folder / str(i): speed for i, speed in enumerate(_read_speeds(folder))}
            continue
        paths = [path for path in _metrics_files(folder) if path.is_file()]
        if not paths:
            raise UserError(
                f"{folder}: no evaluation (metrics.json) found; `eval.py --workdir RUN` writes one to RUN/eval, "
                "with `--output DIR` to DIR"
            )
        found |= {path.resolve(): _read(path) for path in paths if path.resolve() not in found}
    return list(found.values())


def _metrics_files(folder: Path) -> Iterable[Path]:
    for pattern in ("metrics.json", "eval/metrics.json", "*/metrics.json", "*/eval/metrics.json"):
        yield from sorted(folder.glob(pattern))


def _read_speeds(path: Path) -> list[Evaluation]:
    """The measurements in a file of `ultrabm-jax speed`."""
    try:
        return [_from_speed(path, record) for record in json.loads(path.read_text(encoding="utf-8"))["speed"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a file of `ultrabm-jax speed` ({error!r})") from error


def _from_speed(path: Path, record: SpeedRecord) -> Evaluation:
    name = str(record["model"]["name"])
    summary: Summary = {
        "model": name,
        "dataset": "",
        "scale": int(record["scale"]),
        "count": 0,
        "mean": {},
        "std": {},
        "baselines": {},
        "speed": record["speed"],
        "config": {"model": record["model"]},
        "versions": record["versions"],
        "devices": [str(record["speed"]["device"])],
        "seconds": 0.0,
    }
    blocks = cast(Mapping[str, float], record["speed"].get("block_percent", {}))
    return Evaluation(f"{path}: {record['name']}, {record['date']}", summary, {name: {}, **{b: {} for b in blocks}})


def _read(path: Path) -> Evaluation:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the metrics.json of an evaluation ({error})") from error
    missing = REQUIRED_KEYS - set(summary) if isinstance(summary, dict) else REQUIRED_KEYS
    if missing:
        raise UserError(f"{path}: not the metrics.json of an evaluation, {', '.join(sorted(missing))} missing")
    for config in (summary.get("config"), summary.get("run_config")):
        rename_saved(config or {})  # evaluations by an earlier release
    methods = methods_of(summary, summary["model"])
    return Evaluation(str(path.parent), summary, _name_first_variant(summary, methods))


def _name_first_variant(summary: Summary, methods: Mapping[str, Scores]) -> dict[str, Scores]:
    """Gives the first variant of a network, which has the bare name "red", a name as the others have: "red_ratio"."""
    config = summary.get("config") or {}
    model = (config.get("model") or {}).get("name")
    task = MODELS[model].task if model in MODELS else None
    suffix = task.first_variant(config.get("eval") or {}) if task else ""
    return {f"{model}{suffix}" if name == model else name: scores for name, scores in methods.items()}
