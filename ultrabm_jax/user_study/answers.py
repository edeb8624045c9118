"""Mean opinion scores of a study, with 95 % intervals over raters.

A rater's score of a method is the mean over the images that this rater scored; the method's score is the mean over the
raters. The interval is a bootstrap over raters, and differences between methods are paired by rater, which removes that
some raters are stricter than others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.bootstrap import Difference, interval, paired_difference
from ultrabm_jax.user_study.page import HIGHEST, LOWEST


@dataclass(frozen=True)
class Opinions:
    """`scores`: {criterion: {method: mean score of each rater, nan without an answer}}, in the order of `raters`."""

    raters: Sequence[str]
    scores: Mapping[str, Mapping[str, Sequence[float]]]
    answers: int  # in all

    def mean(self, criterion: str, method: str) -> float:
        """The mean opinion score; nan without an answer."""
        known = [value for value in self.scores[criterion][method] if not math.isnan(value)]
        return float(np.mean(known)) if known else math.nan

    def interval(self, criterion: str, method: str) -> list[float] | None:
        """The 95 % interval over raters; None for fewer than two."""
        return interval(self.scores[criterion][method])

    def difference(self, criterion: str, first: str, second: str) -> Difference | None:
        """first minus second, paired by rater."""
        return paired_difference(self.scores[criterion][first], self.scores[criterion][second])


def read_opinions(key: Path, files: Sequence[Path]) -> Opinions:
    """The answers of `files` to the study of `key`.

    Raises UserError for a damaged file, answers to another study, an unknown image, a score outside 1 to 5, or a rater
    who occurs twice.
    """
    study = _read(key, {"study", "criteria", "items"})
    items, criteria = study["items"], study["criteria"]
    methods = list(dict.fromkeys(item["method"] for item in items.values()))
    scores: dict[str, dict[str, list[float]]] = {c: {m: [] for m in methods} for c in criteria}
    raters: dict[str, Path] = {}
    total = 0
    for file in files:
        content = _read(file, {"study", "rater", "criteria", "answers"})
        if content["study"] != study["study"] or content["criteria"] != criteria:
            raise UserError(f"{file}: answers to another study than that of {key}")
        rater = str(content["rater"])
        if rater in raters:
            raise UserError(f"{file} and {raters[rater]} are both answers of {rater}")
        raters[rater] = file
        total += len(content["answers"])
        for index, criterion in enumerate(criteria):
            given: dict[str, list[float]] = {method: [] for method in methods}
            for code, values in content["answers"].items():
                given[_method(items, code, file)].append(_score(values, index, len(criteria), file))
            for method, values in given.items():
                scores[criterion][method].append(float(np.mean(values)) if values else math.nan)
    return Opinions(list(raters), scores, total)


def _method(items: Mapping[str, Mapping[str, str]], code: str, file: Path) -> str:
    if code not in items:
        raise UserError(f"{file}: an answer about the image {code}, which the study does not have")
    return items[code]["method"]


def _score(values: object, index: int, count: int, file: Path) -> float:
    value = values[index] if isinstance(values, list) and len(values) == count else None
    if not isinstance(value, int | float) or not LOWEST <= value <= HIGHEST:
        raise UserError(f"{file}: {values!r} are not {count} scores from {LOWEST:g} to {HIGHEST:g}")
    return float(value)


def _read(path: Path, keys: set[str]) -> dict[str, Any]:  # Any: JSON
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error})") from error
    if not isinstance(content, dict) or not keys <= content.keys():
        raise UserError(f"{path}: not a file of a study; it needs {', '.join(sorted(keys))}")
    return content
