"""Shows the papers' tables next to the results of evaluations.

    python -m ultrabm_jax.report.tables [WORKDIR_OR_EVAL_DIR ...] [--table NAME] [--format text|markdown]

There is one block for each quantity. Its heading names the paper's protocol, as far as it is known, and ours. A column
is the paper, or evaluation `[n]`, under one condition (data set and scale); the list below the table describes [n] and
how its model differs from the paper's. A cell has a value only if data set, split, scale and method agree. Other cells
are `not run`, or `n/a` if the evaluation requested the value but it is not available. "-": the paper has no value.

Without --table, shows the tables that have measured values and names the others; without folders, shows all tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ultrabm_jax import cli
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.score_table import align
from ultrabm_jax.report.evaluations import Evaluation, find_evaluations
from ultrabm_jax.report.published import TABLES, Quantity, Table
from ultrabm_jax.report.published.table import NONE, UNKNOWN
from ultrabm_jax.report.selection import describe_checkpoint, selection_warning
from ultrabm_jax.report.summary import incomplete_counts

NOT_RUN = "not run"
Numbered = Sequence[tuple[int, Evaluation]]
Lines = list[list[str]]


def show(evaluations: Sequence[Evaluation], names: Sequence[str], *, markdown: bool = False) -> str:
    """The named tables, and a list of the evaluations that fit none of them."""
    numbered = list(enumerate(evaluations, start=1))
    parts = [_show_table(TABLES[name], numbered, markdown=markdown) for name in names]
    used = {n for name in names for n, _ in evaluations_of(TABLES[name], numbered)}
    rest = [f"[{n}] {_describe(e)}" for n, e in numbered if n not in used]
    if rest:
        heading = "In none of the tables above (another data set, split or scale):"
        parts.append("\n".join([heading, *(f"- {line}" for line in rest)]))
    return "\n\n".join(parts) + "\n"


def evaluations_of(table: Table, evaluations: Numbered) -> Numbered:
    """The evaluations that fill at least one cell of the table."""
    return [(n, e) for n, e in evaluations if any(e.fits(c) for c in table.conditions) and _fills(table, e)]


def _fills(table: Table, evaluation: Evaluation) -> bool:
    methods = evaluation.rows(table).values()
    return any(evaluation.value(method, q) is not None for method in methods for q in table.quantities)


def _show_table(table: Table, evaluations: Numbered, *, markdown: bool) -> str:
    ours = evaluations_of(table, evaluations)
    blocks = [_show_quantity(table, i, ours, markdown=markdown) for i in range(len(table.quantities))]
    notes = [*(f"[{n}] {_describe(e, table)}" for n, e in ours), *table.notes, f"source: {table.source}"]
    title = f"## {table.title}" if markdown else f"{table.title}\n{'=' * len(table.title)}"
    return "\n\n".join([title, *blocks, "\n".join(f"- {note}" for note in notes)])


def _show_quantity(table: Table, number: int, evaluations: Numbered, *, markdown: bool) -> str:
    quantity = table.quantities[number]
    theirs = "protocol unknown" if quantity.paper_protocol == UNKNOWN else quantity.paper_protocol
    heading = f"{quantity.label}. Paper: {theirs}. Ours: {quantity.protocol or 'not measured here'}."
    lines = quantity_lines(table, number, evaluations)
    return f"**{heading}**\n\n{_as_markdown(lines)}" if markdown else f"{heading}\n{_as_text(lines)}"


def quantity_lines(table: Table, number: int, evaluations: Numbered) -> Lines:
    """Heading and rows of quantity `number`: the paper's methods, then those that only the evaluations have."""
    quantity = table.quantities[number]
    columns = [(n, e, c) for n, e in evaluations for c in table.conditions if e.fits(c)]
    heads = [f"[{n}] {c.label}".strip() for n, _, c in columns]
    lines = [["", *(f"paper {c.label}".strip() for c in table.conditions), *(heads or ["ours"])]]
    extra = dict.fromkeys(row for _, e, _ in columns for row in e.rows(table) if row not in table.values)
    for row in [*table.values, *extra]:
        paper = [table.value(row, number, i) if row in table.values else NONE for i in range(len(table.conditions))]
        own = [_cell(table, quantity, row, e) for _, e, _ in columns]
        lines.append([row, *paper, *(own or [NOT_RUN])])
    return lines


def _cell(table: Table, quantity: Quantity, row: str, evaluation: Evaluation) -> str:
    method = evaluation.rows(table).get(row)
    value = None if method is None else evaluation.value(method, quantity)
    return NOT_RUN if value is None else value


def _describe(evaluation: Evaluation, table: Table | None = None) -> str:
    """Path, model and data; in a table, also how the evaluation differs from the paper's."""
    summary = evaluation.summary
    variant = evaluation.field("model.variant")
    model = f"{evaluation.model} ({variant})" if variant else evaluation.model
    checkpoint = describe_checkpoint(summary)
    what = ", ".join(evaluation.methods) if checkpoint is None else f"{model}, {checkpoint}"
    parts = [f"{evaluation.path}: {what}; {summary['dataset']} x{summary['scale']}, {summary['count']} images"]
    parts += incomplete_counts(summary) + [f"left out: {line}" for line in summary.get("failed", [])]
    if table is not None:
        wholes = [c.count for c in table.conditions if evaluation.fits(c) and c.count not in (None, summary["count"])]
        parts += [f"the whole set has {count}" for count in wholes]
        parts += evaluation.differences(table)
    else:
        parts += [f"{name} {value:.3f}" for name, value in summary["mean"].items() if isinstance(value, float)]
    warning = selection_warning(summary)
    return "; ".join([*parts, *([] if warning is None else [f"warning: {warning}"])])


def _as_text(lines: Lines) -> str:
    return "\n".join(f"  {row}" for row in align(lines))


def _as_markdown(lines: Lines) -> str:
    head, *rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rows])


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    flags = argparse.ArgumentParser(prog="python -m ultrabm_jax.report.tables", description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    flags.add_argument("folders", nargs="*", metavar="DIR", help="evaluation folders, workdirs, or folders of either")
    flags.add_argument(
        "--table", action="append", metavar="NAME", help=f"all, or one of: {', '.join(TABLES)}; may be repeated"
    )
    flags.add_argument("--format", choices=("text", "markdown"), default="text")
    args = flags.parse_args(argv)
    evaluations = find_evaluations(args.folders)
    names = _choose_tables(args.table, evaluations)
    print(show(evaluations, names, markdown=args.format == "markdown"), end="")
    if not args.table and len(names) < len(TABLES):
        print(f"\nTables without results: {', '.join(name for name in TABLES if name not in names)}")


def _choose_tables(requested: Sequence[str] | None, evaluations: Sequence[Evaluation]) -> list[str]:
    """Names of the tables to show."""
    unknown = sorted(set(requested or ()) - {"all", *TABLES})
    if unknown:
        raise UserError(f"unknown table {unknown[0]!r}; known: all, {', '.join(TABLES)}")
    if requested and "all" not in requested:
        return [name for name in TABLES if name in requested]
    if requested or not evaluations:
        return list(TABLES)
    numbered = list(enumerate(evaluations, start=1))
    return [name for name, table in TABLES.items() if evaluations_of(table, numbered)]


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main()))
