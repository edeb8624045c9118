"""The files of an evaluation: metrics.json, per_image.csv and report/index.html.

metrics.json is strict JSON: an infinite value is the string "inf", one that is not available is null, and `unavailable`
has the reason by protocol.
"""

from __future__ import annotations

import csv
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.evaluation.measured import Measured
from ultrabm_jax.report import write_page
from ultrabm_jax.report.line_charts import read_log

PACKAGES = ("ultrabm_jax", "jax", "jaxlib", "flax", "numpy", "pillow")


def write_results(
    output: Path,
    summary: Mapping[str, Any],
    measured: Sequence[Measured],
    *,
    higher_is_better: Mapping[str, bool],
    log: Path | None,
) -> None:
    """Writes all three; metrics.json last, so that one that exists belongs to a whole evaluation."""
    output.mkdir(parents=True, exist_ok=True)
    _write_csv(output / "per_image.csv", measured, list(higher_is_better))
    rows = [m.row for m in measured if m.row is not None]
    page = output / "report" / "index.html"
    curves = {} if log is None else read_log(log)
    table = [(m.name, m.group, m.scores) for m in measured]
    write_page(page, summary, rows, curves, higher_is_better=higher_is_better, table=table)
    text = json.dumps(summary, indent=2, allow_nan=False)
    (output / "metrics.json").write_text(text + "\n", encoding="utf-8")


def _write_csv(path: Path, measured: Sequence[Measured], protocols: Sequence[str]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "group", "method", *protocols])
        for m in measured:
            for method, scores in m.scores.items():
                table.writerow([m.name, m.group or "", method, *("" if v is None else v for v in scores.values())])


def plain(value: Any) -> Any:
    """ConfigDict's tuples and NumPy numbers as JSON has them."""
    return json.loads(json.dumps(value, default=lambda x: x.item() if isinstance(x, np.generic) else str(x)))


def versions() -> dict[str, str]:
    """Of Python and the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
