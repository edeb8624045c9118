"""Draws a quality over a cost: printed values of the papers' tables as hollow dots, evaluations as filled ones.

    python -m ultrabm_jax.figures tradeoff --x "ultrabm_3:G multiply-adds" --y ultrabm_1:PSNR --output FIGURE.png
    python -m ultrabm_jax.figures tradeoff runs/red --x "red_1:parameters, million" --y red_1:PSNR --output F.png

An axis is TABLE:QUANTITY of `python -m ultrabm_jax.report.tables`; a row is drawn if both tables have it. --condition
chooses the column of tables with several, such as x2 or x4, by its label; the default is the first. Evaluations are
drawn only if they fit the condition, as in the tables. The axis of costs is logarithmic if they differ widely.

A printed limit such as >2000 is drawn at its number, and its label states it. Ranges, and values with a note, such as
those in another unit, are left out; a line names them.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ultrabm_jax.cli import local_name
from ultrabm_jax.errors import UserError
from ultrabm_jax.figures.cells import COLOURS, legend, stacked
from ultrabm_jax.figures.plots import Plot, Point, axis_around
from ultrabm_jax.logging import logger
from ultrabm_jax.report.evaluations import Evaluation, find_evaluations
from ultrabm_jax.report.published import TABLES, Table
from ultrabm_jax.report.published.table import NONE

SIZE = (640, 420)
PRINTED = re.compile(r"([<>]?)(\d*\.?\d+)")
LOGARITHMIC = 20  # the ratio of the largest to the smallest cost from which on the axis is logarithmic


@dataclass(frozen=True)
class Column:
    """A quantity of a published table under one condition."""

    table: Table
    quantity: int
    condition: int

    @property
    def label(self) -> str:
        """The quantity, and the condition if the table has several."""
        label = self.table.quantities[self.quantity].label
        condition = self.table.conditions[self.condition].label
        return f"{label} ({condition})" if len(self.table.conditions) > 1 else label

    def text(self, row: str) -> str:
        """The value as printed."""
        return self.table.value(row, self.quantity, self.condition)

    def printed(self) -> dict[str, float]:
        """{row: value}, of a limit such as ">2000" its number; without ranges and values with a note."""
        matches = {row: PRINTED.fullmatch(self.text(row)) for row in self.table.values}
        return {row: float(match[2]) for row, match in matches.items() if match is not None}

    def unclear(self) -> list[str]:
        """The rows whose value `printed` leaves out."""
        return [row for row in self.table.values if row not in self.printed() and self.text(row) != NONE]

    def measured(self, evaluation: Evaluation) -> dict[str, float]:
        """{method: value} of an evaluation that fits the condition."""
        condition, quantity = self.table.conditions[self.condition], self.table.quantities[self.quantity]
        if not evaluation.fits(condition):
            return {}
        values = {m: evaluation.value(m, quantity, condition) for m in evaluation.methods}
        return {method: float(text) for method, text in values.items() if text is not None and text != "n/a"}


def draw_tradeoff(x: Column, y: Column, evaluations: Sequence[Evaluation] = ()) -> np.ndarray:
    """The figure. Raises UserError if no row has both values."""
    printed, measured = _both(x.printed(), y.printed()), _measured(x, y, evaluations)
    for axis in (x, y):
        if axis.unclear():
            logger.info(f"{axis.label}: left out {', '.join(f'{row} ({axis.text(row)})' for row in axis.unclear())}")
    points = [*printed.values(), *measured.values()]
    if not points:
        raise UserError("no row of the tables has both values; give TABLE:QUANTITY of tables with the same methods")
    costs = [cost for cost, _ in points]
    log = min(costs) > 0 and max(costs) > LOGARITHMIC * min(costs)
    plot = Plot(SIZE, axis_around(costs, x.label, log=log), axis_around([value for _, value in points], y.label))
    for name, point in printed.items():
        limits = [text for text in (x.text(name), y.text(name)) if text[0] in "<>"]
        plot.dot(point, COLOURS[7], hollow=True, label=" ".join([name, *limits]))
    for name, point in measured.items():
        plot.dot(point, COLOURS[0], label=name)
    keys = ["printed in the paper", "measured here"] if measured else ["printed in the paper"]
    return stacked([plot.image(), legend(keys, [COLOURS[7], COLOURS[0]][: len(keys)], SIZE[0])])


def column(text: str, condition: str | None) -> Column:
    """The column of "TABLE:QUANTITY". Raises UserError, listing the known ones, if there is none."""
    name, _, quantity = text.partition(":")
    if name not in TABLES:
        raise UserError(f"unknown table {name!r}; known: {', '.join(TABLES)}")
    table = TABLES[name]
    quantities = [each.label for each in table.quantities]
    conditions = [each.label for each in table.conditions]
    if quantity not in quantities:
        raise UserError(f"{name} has no quantity {quantity!r}; known: {', '.join(quantities)}")
    if condition is not None and len(conditions) > 1 and condition not in conditions:
        raise UserError(f"{name} has no condition {condition!r}; known: {', '.join(conditions)}")
    chosen = conditions.index(condition) if condition in conditions else 0
    return Column(table, quantities.index(quantity), chosen)


def _measured(x: Column, y: Column, evaluations: Sequence[Evaluation]) -> dict[str, Point]:
    """{method: its point}, with the name of the run if several evaluations have a point of the method."""
    found = [_both(x.measured(evaluation), y.measured(evaluation)) for evaluation in evaluations]
    counts = Counter(method for points in found for method in points)
    named: dict[str, Point] = {}
    for evaluation, points in zip(evaluations, found, strict=True):
        if not points:
            logger.info(f"{evaluation.path}: has no method with both values, {x.label} and {y.label}; not drawn")
        for method, point in points.items():
            named[method if counts[method] == 1 else f"{method} ({evaluation.run})"] = point
    return named


def _both(costs: dict[str, float], values: dict[str, float]) -> dict[str, Point]:
    return {name: (cost, values[name]) for name, cost in costs.items() if name in values}


def add_arguments(flags: argparse.ArgumentParser) -> None:
    """The command's flags."""
    flags.add_argument(
        "folders", type=local_name, nargs="*", metavar="DIR", help="evaluation folders, workdirs, or folders of either"
    )
    flags.add_argument("--x", required=True, metavar="TABLE:QUANTITY", help="the cost")
    flags.add_argument("--y", required=True, metavar="TABLE:QUANTITY", help="the quality")
    flags.add_argument("--condition", metavar="LABEL", help="of tables with several conditions; default: the first")


def draw(args: argparse.Namespace) -> np.ndarray:
    """The figure of the command line."""
    x, y = column(args.x, args.condition), column(args.y, args.condition)
    return draw_tradeoff(x, y, find_evaluations(args.folders))
