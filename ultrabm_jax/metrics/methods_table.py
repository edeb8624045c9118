"""Several methods, each a folder of images, measured on the same images: means, intervals and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import write_file
from ultrabm_jax.metrics.bootstrap import interval, paired_difference
from ultrabm_jax.metrics.folder_scores import FolderScores
from ultrabm_jax.metrics.registry import find
from ultrabm_jax.metrics.score_table import TABLES, Directions, Intervals, Scores, align, digits_of

Results: TypeAlias = Mapping[str, FolderScores]  # by method, on the same images in the same order


def name_methods(given: Sequence[str]) -> dict[str, str]:
    """{method: path} of "NAME=PATH" or "PATH", whose name is the last part of the path.

    Raises UserError if two methods have the same name.
    """
    named: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (equals and name and path) or "/" in name or Path(text).exists():
            folder = Path(text).resolve()
            name, path = (folder.parent if "*" in folder.name else folder).name, text
        if name in named:
            raise UserError(f"{named[name]} and {path} would both be named {name}: write NAME={path}")
        named[name] = path
    return named


def means(results: Results) -> dict[str, Scores]:
    """{method: {protocol: mean over the images that have a score; None without any}}."""
    return {
        method: {name: float(np.mean(v)) if len(v := result.values(name)) else None for name in result.protocols}
        for method, result in results.items()
    }


def intervals(results: Results) -> Intervals:
    """{method: {protocol: 95 % interval of the mean}}."""
    return {
        method: {name: interval(list(result.values(name))) for name in result.protocols}
        for method, result in results.items()
    }


def directions(results: Results) -> Directions:
    """{protocol: whether higher is better}."""
    first = next(iter(results.values()))
    return {name: find(name)[0].higher_is_better for name in first.protocols}


def write_table(path: str | Path, results: Results) -> None:
    """Means with 95 % intervals as a table in the format of the suffix: .md, .tex or .csv."""
    text = TABLES[Path(path).suffix](means(results), directions(results), intervals(results))
    write_file(path, f"{text.rstrip()}\n".encode(errors="backslashreplace"))


def describe_differences(results: Results) -> str:
    """A line for each method after the first: the first minus this one, with 95 % intervals over paired images."""
    first, *others = results
    protocols = results[first].protocols
    lines = [[f"{first} minus", *protocols]]
    for other in others:
        cells = []
        for name in protocols:
            columns = ([scores[name] for scores in results[m].scores.values()] for m in (first, other))
            found, digits = paired_difference(*columns), digits_of(name)
            bounds = (
                "" if found is None or found.ci95 is None else " [{:+.{d}f}, {:+.{d}f}]".format(*found.ci95, d=digits)
            )
            cells.append("n/a" if found is None else f"{found.mean:+.{digits}f}{bounds}")
        lines.append([other, *cells])
    return "\n".join(align(lines))
