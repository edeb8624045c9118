"""Files of the scores of folders (folder_scores.py): CSV, one row per image, and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ultrabm_jax.image.write import write_file
from ultrabm_jax.metrics.folder_scores import FolderScores, deviation
from ultrabm_jax.metrics.score_table import json_number


def write_csv(path: str | Path, result: FolderScores | Mapping[str, FolderScores]) -> None:
    """A row for each image and a last one, `mean`; a column for each protocol that has a value.

    A missing score is an empty cell. Several methods have a first column `method`, and a mean each.
    """
    results = {"": result} if isinstance(result, FolderScores) else result
    protocols = next(iter(results.values())).protocols
    columns = [name for name in protocols if any(len(each.values(name)) for each in results.values())]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(["method"] if result is results else []), "image", *columns])
    for method, each in results.items():
        first = [method] if result is results else []
        for image, scores in each.scores.items():
            writer.writerow([*first, image, *(_cell(scores[c]) for c in columns)])
        known = {c: each.values(c) for c in columns}
        writer.writerow([*first, "mean", *(_cell(float(np.mean(v)) if len(v) else None) for v in known.values())])
    write_file(path, text.getvalue().encode(errors="backslashreplace"))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"


def write_json(
    path: str | Path, result: FolderScores | Mapping[str, FolderScores], missing: Sequence[str] = ()
) -> None:
    """Means, deviations and counts by protocol, the scores of each image, and what is incomplete.

    Strict JSON: an infinite value is the string "inf", a missing one null. Several methods: {"methods": {NAME: ...}}.
    """
    content = (
        _as_json(result, missing)
        if isinstance(result, FolderScores)
        else {"methods": {method: _as_json(each, missing) for method, each in result.items()}}
    )
    write_file(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def _as_json(result: FolderScores, missing: Sequence[str]) -> dict[str, object]:
    values = {name: result.values(name) for name in result.protocols}
    return {
        "count": len(result.scores),
        "mean": {name: json_number(np.mean(v)) if len(v) else None for name, v in values.items()},
        "std": {name: json_number(deviation(v)) if len(v) else None for name, v in values.items()},
        "counts": {name: len(v) for name, v in values.items()},
        "complete": result.complete and not missing,
        "missing": list(missing),
        "unavailable": result.unavailable,
        "problems": result.problems,
        "identical": result.identical,
        "notes": dict(result.notes),
        "images": {
            image: {name: None if value is None else json_number(value) for name, value in scores.items()}
            for image, scores in result.scores.items()
        },
    }
