"""Draws the scores of evaluations as bars, or as lines over exposure levels or amplifications.

    python -m ultrabm_jax.figures scores runs/a/eval runs/b/eval --protocols psnr_rgb ssim_rgb --output FIGURE.png
    python -m ultrabm_jax.figures scores runs/a --by group --output FIGURE.png      groups such as exposures
    python -m ultrabm_jax.figures scores runs/red --by m --output FIGURE.png        amplifications paper:M

Bars are UltraBM's Figure 2a, with 95 % intervals over images; --by group has the values of its Figure 9 and --by m
those of RED's Figure 5. An evaluation is a workdir or the folder of its metrics.json. If several evaluations have a
method of the same name, the name of the folder is added to it.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ultrabm_jax.cli import local_name
from ultrabm_jax.errors import UserError
from ultrabm_jax.figures.cells import COLOURS, beside, legend, stacked
from ultrabm_jax.figures.plots import Axis, Plot, axis_around
from ultrabm_jax.metrics.score_table import Value, digits_of
from ultrabm_jax.report.evaluations import Evaluation, find_evaluations
from ultrabm_jax.report.summary import intervals_of, methods_of

SIZE = (380, 260)
AMPLIFIED = re.compile(r"(.*)_([a-z]+):(\d+(?:\.\d+)?)")  # the name of an evaluation's variant with a stated m


@dataclass(frozen=True)
class Score:
    """A mean and its 95 % interval over images, if there is one."""

    mean: float
    ci95: tuple[float, float] | None = None

    @property
    def top(self) -> float:
        """The larger of the mean and the upper end of the interval."""
        return self.mean if self.ci95 is None else max(self.mean, self.ci95[1])


Series: TypeAlias = Mapping[str, Mapping[float | str, Mapping[str, Score]]]  # method: place: protocol: score


def draw_scores(series: Series, protocols: Sequence[str], *, x_label: str = "", columns: int = 3) -> np.ndarray:
    """One chart for each protocol: lines over the places, or bars if every method has the place "" only."""
    bars = all(set(places) == {""} for places in series.values())
    charts = [(_bars if bars else _lines)(series, protocol, x_label) for protocol in protocols]
    rows = [beside(charts[k : k + columns]) for k in range(0, len(charts), columns)]
    keys = legend(list(series), [COLOURS[k % len(COLOURS)] for k in range(len(series))], rows[0].shape[1])
    return stacked([*rows, keys], gap=8)


def series_of(evaluations: Sequence[Evaluation], by: str) -> Series:
    """The scores of all methods: by "method", over the "group"s of images or the amplification "m"."""
    counts = Counter(method for evaluation in evaluations for method in evaluation.methods)
    found: dict[str, dict[float | str, dict[str, Score]]] = {}
    for evaluation in evaluations:
        for method in evaluation.methods:
            place: float | str = ""
            name = method
            if by == "m":
                match = AMPLIFIED.fullmatch(method)
                if match is None:
                    continue
                name, place = f"{match[1]}_{match[2]}", float(match[3])
            own = found.setdefault(name if counts[method] == 1 else f"{name} ({evaluation.run})", {})
            if by == "group":
                own |= _groups(evaluation, method)
            else:
                intervals = intervals_of(evaluation.summary).get(method) or {}
                own[place] = _scores(evaluation.methods[method], intervals)
    if not any(found.values()):
        raise UserError(f"no scores by {by}: {NEEDS[by]}")
    return found


NEEDS = {
    "method": "the evaluations are empty",
    "group": "the images of these evaluations have no groups, such as RELLISUR's exposures",
    "m": "evaluate a model for camera raw files with config.eval.amplify=\"('paper:0.1','paper:0.5','paper:1')\"",
}


def _groups(evaluation: Evaluation, method: str) -> dict[float | str, dict[str, Score]]:
    found: dict[float | str, dict[str, Score]] = {}
    for name, group in (evaluation.summary.get("groups") or {}).items():
        means = methods_of(group, evaluation.summary["model"])
        own = means.get(method) or (group["mean"] if method == evaluation.model else {})
        intervals = (group.get("intervals") or {}).get(method) or {}
        found[_as_number(name)] = _scores(own, intervals)
    return found


def _scores(means: Mapping[str, Value], intervals: Mapping[str, Sequence[float] | None]) -> dict[str, Score]:
    numbers = {name: float(value) for name, value in means.items() if isinstance(value, float | int)}
    return {name: Score(value, _bounds(intervals.get(name))) for name, value in numbers.items() if math.isfinite(value)}


def _bounds(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])


def _as_number(name: str) -> float | str:
    try:
        return float(name)
    except ValueError:
        return name


def _bars(series: Series, protocol: str, x_label: str) -> np.ndarray:
    found = {name: places[""][protocol] for name, places in series.items() if protocol in places[""]}
    if not found:
        raise UserError(f"no method has a score under {protocol}")
    tops = [score.top for score in found.values()]
    low = min([0.0, *(score.mean for score in found.values())])
    x, y = Axis(-0.6, len(series) - 0.4, x_label, ticks=False), Axis(low, 1.12 * max([*tops, 1e-9]))
    plot = Plot(SIZE, x, y, title=protocol)
    for k, name in enumerate(series):
        if name in found:
            score = found[name]
            plot.bar(k, score.mean, COLOURS[k % len(COLOURS)])
            if score.ci95:
                plot.whisker(k, score.ci95)
            plot.caption((k, score.top), f"{score.mean:.{min(digits_of(protocol), 3)}f}")
    return plot.image()


def _lines(series: Series, protocol: str, x_label: str) -> np.ndarray:
    places = {place for own in series.values() for place, scores in own.items() if protocol in scores}
    if not places:
        raise UserError(f"no method has a score under {protocol}")
    names = sorted(map(str, places)) if any(isinstance(place, str) for place in places) else []
    at = {place: names.index(str(place)) if names else float(place) for place in places}
    scores = [own[place][protocol] for own in series.values() for place in own if protocol in own[place]]
    bounds = [value for score in scores for value in (score.mean, *(score.ci95 or ()))]
    x = Axis(-0.3, len(names) - 0.7, x_label, names) if names else axis_around(list(at.values()), x_label)
    plot = Plot(SIZE, x, axis_around(bounds), title=protocol)
    for k, own in enumerate(series.values()):
        colour = COLOURS[k % len(COLOURS)]
        known = sorted((at[place], own[place][protocol]) for place in own if protocol in own[place])
        if len(known) > 1:
            plot.line([(place, score.mean) for place, score in known], colour)
        for place, score in known:
            plot.dot((place, score.mean), colour)
            if score.ci95:
                plot.whisker(place, score.ci95, colour)
    return plot.image()


def add_arguments(flags: argparse.ArgumentParser) -> None:
    """The command's flags."""
    flags.add_argument(
        "folders", type=local_name, nargs="+", metavar="DIR", help="evaluation folders, workdirs, or folders of either"
    )
    flags.add_argument("--protocols", nargs="+", metavar="NAME", help="default: all that every method has")
    flags.add_argument("--by", choices=tuple(NEEDS), default="method", help="default: method, which draws bars")
    flags.add_argument("--methods", nargs="+", metavar="NAME", help="only these, in this order")


def draw(args: argparse.Namespace) -> np.ndarray:
    """The figure of the command line."""
    series = series_of(find_evaluations(args.folders), args.by)
    for name in args.methods or ():
        if name not in series:
            raise UserError(f"--methods {name}: known: {', '.join(series)}")
    series = {name: series[name] for name in args.methods or series}
    shared = [set().union(*own.values()) for own in series.values()]
    first = dict.fromkeys(protocol for own in series.values() for scores in own.values() for protocol in scores)
    protocols = args.protocols or [name for name in first if all(name in own for own in shared)]
    if not protocols:
        raise UserError("the methods have no protocol in common; name some with --protocols")
    label = {"m": "amplification m", "group": "group of images"}.get(args.by, "")
    return draw_scores(series, protocols, x_label=label)
