"""The table of an evaluation for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text_table(summary: Mapping[str, Any]) -> str:
    """Methods down, protocols across; `summary` is the content of metrics.json."""
    methods = {summary["model"]: summary["mean"], **summary["baselines"]}
    lines = [["", *summary["mean"]], *([name, *map(_cell, scores.values())] for name, scores in methods.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]
    notes = [f"{name} is not available: {reason}" for name, reason in summary.get("unavailable", {}).items()]
    return "\n".join([*rows, *notes])


def _cell(value: Any) -> str:
    return "n/a" if value is None else f"{float(value):.4f}"
