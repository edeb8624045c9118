"""Tables of mean scores as text, Markdown, LaTeX and CSV: methods as rows, protocols as columns.

The best value of each column is bold in Markdown and LaTeX. LaTeX needs the packages booktabs and graphicx, which
shrinks the table to the width of the line. CSV has the unrounded values.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = float | str | None  # a score: a number, "inf" or "-inf", or None where it is not available
Scores: TypeAlias = Mapping[str, Value]  # protocol: score
Directions: TypeAlias = Mapping[str, bool | None]  # protocol: whether higher is better; None: 1 is best
Intervals: TypeAlias = Mapping[str, Mapping[str, Sequence[float] | None]]  # method: protocol: [lower, upper]

DIGITS = {"psnr": 2, "niqe": 2, "brisque": 2, "sseq": 2, "loe": 1, "delta": 2}  # others have values below 1: 4 digits
NOT_AVAILABLE = "n/a"
LATEX_SPECIAL = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}",
}  # fmt: skip


def json_number(value: float) -> Value:
    """The value in strict JSON, which has no infinity: "inf" or "-inf" as a string, and None for nan."""
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(float(value))


def digits_of(protocol: str) -> int:
    """Decimals to show."""
    return DIGITS.get(re.split(r"[_\d]", protocol)[0], 4)


def best_values(methods: Mapping[str, Scores], higher_is_better: Directions) -> dict[str, float | None]:
    """{protocol: the best mean of all methods; None if no method has one}."""
    return {
        protocol: _best([s.get(protocol) for s in methods.values()], up) for protocol, up in higher_is_better.items()
    }


def text_scores(methods: Mapping[str, Scores], higher_is_better: Directions, intervals: Intervals | None = None) -> str:
    """Aligned columns for a terminal."""
    return "\n".join(align([["", *higher_is_better], *_cells(methods, higher_is_better, intervals or {}, _plain)]))


def markdown_scores(
    methods: Mapping[str, Scores], higher_is_better: Directions, intervals: Intervals | None = None
) -> str:
    """A Markdown table."""
    head = ["method", *(f"{name} {_arrow(up, '↑', '↓')}" for name, up in higher_is_better.items())]
    rows = _cells(methods, higher_is_better, intervals or {}, lambda x, best: f"**{x}**" if best else x)
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def latex_scores(
    methods: Mapping[str, Scores], higher_is_better: Directions, intervals: Intervals | None = None
) -> str:
    """A LaTeX tabular."""
    arrows = (_arrow(up, r"$\uparrow$", r"$\downarrow$") for up in higher_is_better.values())
    head = ["method", *(f"{_latex(name)} {arrow}" for name, arrow in zip(higher_is_better, arrows, strict=True))]
    rows = _cells(methods, higher_is_better, intervals or {}, lambda x, best: rf"\textbf{{{x}}}" if best else x)
    body = [" & ".join([_latex(name), *values]) + r" \\" for name, *values in rows]
    lines = [
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(higher_is_better)}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    return "\n".join(lines)


def csv_scores(methods: Mapping[str, Scores], higher_is_better: Directions, intervals: Intervals | None = None) -> str:
    """CSV with a column for each protocol and, if there are intervals, two for its bounds; no value: an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    bounds = ("lower", "upper") if intervals else ()
    writer.writerow(["method", *(c for p in higher_is_better for c in (p, *(f"{p}_ci95_{b}" for b in bounds)))])
    for method, scores in methods.items():
        row: list[object] = [method]
        for protocol in higher_is_better:
            value = scores.get(protocol)
            row.append("" if value is None else value)
            if intervals:
                row += (intervals.get(method) or {}).get(protocol) or ["", ""]
        writer.writerow(row)
    return text.getvalue()


# By the suffix of the file.
TABLES = {".md": markdown_scores, ".tex": latex_scores, ".csv": csv_scores}


def align(lines: list[list[str]]) -> list[str]:
    """Rows of equal width: the first column is left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]


def _cells(
    methods: Mapping[str, Scores], higher_is_better: Directions, intervals: Intervals, mark: Callable[[str, bool], str]
) -> list[list[str]]:
    best = best_values(methods, higher_is_better)
    rows = []
    for method, scores in methods.items():
        row = [method]
        for protocol in higher_is_better:
            value, bounds = scores.get(protocol), (intervals.get(method) or {}).get(protocol)
            digits = digits_of(protocol)
            cell = (
                NOT_AVAILABLE if value is None else mark(f"{float(value):.{digits}f}", float(value) == best[protocol])
            )
            row.append(cell if not bounds else f"{cell} [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]")
        rows.append(row)
    return rows


def _best(values: Sequence[Value], higher: bool | None) -> float | None:
    known = [float(value) for value in values if value is not None]
    if higher is None:
        return min(known, key=lambda value: abs(value - 1), default=None)
    return (max if higher else min)(known, default=None)


def _plain(text: str, _: bool) -> str:
    return text


def _arrow(higher_is_better: bool | None, up: str, down: str) -> str:
    return {True: up, False: down, None: "(1)"}[higher_is_better]


def _latex(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(c, c) for c in text)
