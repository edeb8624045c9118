"""The table of an evaluation for a terminal."""

from __future__ import annotations

from ultrabm_jax.metrics.score_table import Value, align
from ultrabm_jax.report.selection import describe_checkpoint, selection_warning
from ultrabm_jax.report.summary import Summary, incomplete_means, methods_of


def text_table(summary: Summary) -> str:
    """Methods as rows, protocols as columns; then the checkpoint and one line for each incomplete protocol or mean."""
    methods = methods_of(summary, summary["model"])
    lines = [["", *summary["mean"]], *([name, *map(_cell, scores.values())] for name, scores in methods.items())]
    checkpoint, warning = describe_checkpoint(summary), selection_warning(summary)
    notes = [] if checkpoint is None else [f"{summary['model']}: {checkpoint}"]
    notes += [] if warning is None else [f"warning: {warning}"]
    notes += [f"{name} is not available: {reason}" for name, reason in summary.get("unavailable", {}).items()]
    return "\n".join([*align(lines), *notes, *(f"note: {line}" for line in incomplete_means(summary))])


def _cell(value: Value) -> str:
    return "n/a" if value is None else f"{float(value):.4f}"
