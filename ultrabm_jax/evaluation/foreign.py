"""Scores that another program computed, read from CSV files: metrics whose weights this library cannot have.

config.eval.foreign_scores has "NAME:lower:FILE.csv" or "NAME:higher:FILE.csv"; the second part tells which values are
better. The file has a header with the columns `image` (the names of per_image.csv), `score` and optionally `method`;
without that column, the scores are of the first method, the network. They appear as NAME_foreign, and nothing here
checks how they were computed.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.image_result import ImageResult

SUFFIX = "_foreign"
DIRECTIONS = {"higher": True, "lower": False}


@dataclasses.dataclass(frozen=True)
class ForeignScores:
    """The scores of one file, by (image, method)."""

    protocol: str
    higher_is_better: bool
    path: str
    scores: Mapping[tuple[str, str], float]


def read_foreign(fields: Iterable[str], methods: Sequence[str]) -> list[ForeignScores]:
    """Reads the files of config.eval.foreign_scores; `methods` are those of the evaluation, the network first.

    Raises UserError for a wrong field, a file that cannot be read, a missing column, an unknown method, a score that is
    no finite number, or two scores of one image.
    """
    found = [_read(field, methods) for field in fields]
    names = [scores.protocol for scores in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"config.eval.foreign_scores names {', '.join(twice)} more than once")
    return found


def add_foreign(results: Sequence[ImageResult], foreign: Sequence[ForeignScores]) -> list[ImageResult]:
    """The results with the foreign scores of their images; a missing one is reported like any other missing score."""
    return [_add(result, foreign) for result in results] if foreign else list(results)


def _add(result: ImageResult, foreign: Sequence[ForeignScores]) -> ImageResult:
    scores = {method: dict(own) for method, own in result.scores.items()}
    reasons = {method: dict(own) for method, own in result.reasons.items()}
    for file in foreign:
        for method in scores:
            value = file.scores.get((result.name, method))
            scores[method][file.protocol] = value
            if value is None:
                reasons.setdefault(method, {})[file.protocol] = f"{file.path} has no score"
    return dataclasses.replace(result, scores=scores, reasons=reasons)


def _read(field: str, methods: Sequence[str]) -> ForeignScores:
    name, _, rest = field.partition(":")
    direction, _, path = rest.partition(":")
    if not (name and path) or direction not in DIRECTIONS:
        raise UserError(f"config.eval.foreign_scores takes NAME:higher:FILE.csv or NAME:lower:FILE.csv, not {field!r}")
    try:
        with open(Path(path).expanduser(), newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV: {error}") from error
    if not rows or not {"image", "score"} <= rows[0].keys():
        raise UserError(f"{path}: needs a header with the columns image and score, and at least one row")
    scores: dict[tuple[str, str], float] = {}
    for line, row in enumerate(rows, start=2):
        method = row.get("method") or methods[0]
        if method not in methods:
            raise UserError(f"{path}:{line}: unknown method {method!r}; known: {', '.join(methods)}")
        if (row["image"], method) in scores:
            raise UserError(f"{path}:{line}: {row['image']} has a second score of {method}")
        scores[row["image"], method] = _number(row["score"], f"{path}:{line}")
    return ForeignScores(f"{name}{SUFFIX}", DIRECTIONS[direction], path, scores)


def _number(text: str | None, place: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{place}: the score {text!r} is no finite number")
    return value
