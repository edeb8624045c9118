"""Means over images, their spread and their uncertainty.

    mean         over the images that have a score; None if there are none
    counts       how many these are, of each method
    std          population standard deviation over images, of the first method
    ci95         95 % interval of the mean of the first method (metrics/bootstrap.py)
    intervals    the same of every method
    differences  first method minus another one, over the images in which both have a finite score, with its interval

The PSNR of identical images is infinite, and so is its mean: the string "inf" in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NotRequired, TypedDict

import numpy as np

from ultrabm_jax.evaluation.image_result import ImageResult
from ultrabm_jax.metrics.bootstrap import interval, known_values, paired_difference
from ultrabm_jax.metrics.score_table import Scores, Value, json_number
from ultrabm_jax.report.summary import GroupSummary, PairedDifference


class Statistics(TypedDict):
    """The keys of metrics.json that are computed from scores."""

    mean: Scores
    std: Mapping[str, float | None]
    ci95: Mapping[str, list[float] | None]
    counts: Mapping[str, Mapping[str, int]]
    problems: Mapping[str, Mapping[str, list[str]]]
    baselines: Mapping[str, Scores]
    intervals: Mapping[str, Mapping[str, list[float] | None]]
    differences: Mapping[str, Mapping[str, PairedDifference | None]]
    groups: NotRequired[Mapping[str, GroupSummary]]


def summarise(results: Sequence[ImageResult], protocols: Sequence[str]) -> Statistics:
    """The statistics of the first method; the means of the other methods are "baselines"."""
    model = next(iter(results[0].scores))
    columns = {name: [result.scores[model][name] for result in results] for name in protocols}
    part = _summarise_part(results, protocols)
    statistics: Statistics = {
        "mean": part["mean"],
        "baselines": part["baselines"],
        "intervals": part["intervals"],
        "differences": part["differences"],
        "std": {name: deviation(values) for name, values in columns.items()},
        "ci95": part["intervals"][model],
        "counts": _counts(results, protocols),
        "problems": _problems(results, without=unscored(results)),
    }
    groups = sorted({result.group for result in results if result.group is not None}, key=_group_order)
    if groups:
        parts = {group: [result for result in results if result.group == group] for group in groups}
        statistics["groups"] = {group: _summarise_part(part, protocols) for group, part in parts.items()}
    return statistics


def unscored(results: Sequence[ImageResult]) -> dict[str, str]:
    """{protocol: reason} of the protocols under which no image of any method has a score."""
    scored = {name for r in results for scores in r.scores.values() for name, x in scores.items() if x is not None}
    found: dict[str, str] = {}
    for result in results:
        for name, reason in (item for reasons in result.reasons.values() for item in reasons.items()):
            if name not in scored:
                found.setdefault(name, f"{reason} (at {result.name})")
    return found


def mean(values: Sequence[float | None]) -> Value:
    """The mean of the values that exist; None if there are none, or for opposite infinities."""
    known = known_values(values)
    return json_number(float(np.mean(known))) if len(known) else None


def deviation(values: Sequence[float | None]) -> float | None:
    """The population standard deviation; None without values or if one is infinite."""
    known = known_values(values)
    return float(np.std(known)) if len(known) and np.isfinite(known).all() else None


def _summarise_part(results: Sequence[ImageResult], protocols: Sequence[str]) -> GroupSummary:
    def column(method: str, protocol: str) -> list[float | None]:
        return [result.scores[method][protocol] for result in results]

    model, *others = methods = list(results[0].scores)
    means = {method: {name: mean(column(method, name)) for name in protocols} for method in methods}
    return {
        "count": len(results),
        "mean": means[model],
        "baselines": {method: means[method] for method in others},
        "intervals": {method: {name: interval(column(method, name)) for name in protocols} for method in methods},
        "differences": {
            method: {name: _difference(column(model, name), column(method, name)) for name in protocols}
            for method in others
        },
    }


def _difference(values: Sequence[float | None], others: Sequence[float | None]) -> PairedDifference | None:
    found = paired_difference(values, others)
    return None if found is None else {"mean": found.mean, "ci95": found.ci95, "count": found.count}


def _counts(results: Sequence[ImageResult], protocols: Sequence[str]) -> dict[str, dict[str, int]]:
    return {
        method: {name: len(known_values([result.scores[method][name] for result in results])) for name in protocols}
        for method in results[0].scores
    }


def _problems(results: Sequence[ImageResult], *, without: Collection[str]) -> dict[str, dict[str, list[str]]]:
    """{image: {reason: ["PROTOCOL", or "PROTOCOL (METHOD)" if other methods have a score]}}.

    without: protocols that are left out, as no image has a score.
    """
    problems: dict[str, dict[str, list[str]]] = {}
    for result in results:
        reasons: dict[str, list[str]] = {}
        lacking_any = dict.fromkeys(name for missing in result.reasons.values() for name in missing)
        for protocol in (name for name in lacking_any if name not in without):
            lacking = {m: missing[protocol] for m, missing in result.reasons.items() if protocol in missing}
            if len(lacking) == len(result.scores) and len(set(lacking.values())) == 1:
                reasons.setdefault(next(iter(lacking.values())), []).append(protocol)
                continue
            for method, reason in lacking.items():
                reasons.setdefault(reason, []).append(f"{protocol} ({method})")
        if reasons:
            problems[result.name] = reasons
    return problems


def _group_order(group: str) -> tuple[float, str]:
    """Exposure levels from bright to dark, then other names."""
    try:
        return -float(group), group
    except ValueError:
        return math.inf, group
