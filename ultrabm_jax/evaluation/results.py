"""The files of an evaluation: metrics.json, per_image.csv, table.md, .tex and .csv, and report/index.html.

metrics.json is strict JSON: an infinite value is the string "inf", a value that is not available is null, and
`unavailable` has the reason by protocol.
"""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ultrabm_jax.buckets import AnyPath
from ultrabm_jax.evaluation.image_result import ImageResult
from ultrabm_jax.image.write import write_file
from ultrabm_jax.metrics.score_table import TABLES
from ultrabm_jax.report import write_page
from ultrabm_jax.report.summary import Config, Summary, methods_of
from ultrabm_jax.report.training_log import read_log
from ultrabm_jax.versions import package_versions

PACKAGES = ("ultrabm_jax", "jax", "jaxlib", "flax", "numpy", "pillow")


def write_results(
    output: Path,
    summary: Summary,
    results: Sequence[ImageResult],
    *,
    higher_is_better: Mapping[str, bool | None],
    log: AnyPath | None,
) -> None:
    """Writes the files, metrics.json last: if it exists, the evaluation is complete.

    `log` is the train.jsonl whose curves the page shows. Raises UserError if a file cannot be written.
    """
    _write_csv(output / "per_image.csv", results, list(higher_is_better))
    entries = [result.entry for result in results if result.entry is not None]
    page = output / "report" / "index.html"
    curves = {} if log is None else read_log(log)
    rows = [(result.name, result.group, result.scores) for result in results]
    write_page(page, summary, entries, curves, higher_is_better=higher_is_better, table=rows)
    methods, intervals = methods_of(summary, summary["model"]), summary.get("intervals")
    for suffix, form in TABLES.items():
        table = form(methods, higher_is_better, intervals)
        write_file(output / f"table{suffix}", f"{table.rstrip()}\n".encode(errors="backslashreplace"))
    text = json.dumps(summary, indent=2, allow_nan=False)
    write_file(output / "metrics.json", (text + "\n").encode())


def _write_csv(path: Path, results: Sequence[ImageResult], protocols: Sequence[str]) -> None:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["image", "group", "method", *protocols])
    for result in results:
        for method, scores in result.scores.items():
            values = ("" if value is None else value for value in scores.values())
            table.writerow([result.name, result.group or "", method, *values])
    write_file(path, text.getvalue().encode(errors="backslashreplace"))


def as_json(config: Config) -> Config:
    """The config as it reads back from JSON: tuples become lists, and NumPy numbers Python numbers."""
    return json.loads(json.dumps(config, default=lambda x: x.item() if isinstance(x, np.generic) else str(x)))


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that the values depend on."""
    return {"python": platform.python_version(), **package_versions(PACKAGES)}
