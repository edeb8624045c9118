"""The papers' tables beside what was measured here.

    python -m ultrabm_jax.report.tables [WORKDIR_OR_EVAL_DIR ...] [--table NAME] [--format text|markdown]

One block for each quantity, whose heading names the paper's protocol, as far as it is known, and ours. A column is one
paper, or one evaluation `[n]`, under one condition (data set and scale); the list below the table says what [n] is and
in what its model differs from the paper's. A value stands only where data set, split, scale and method agree; every
other cell says `not run`, or `n/a` where the evaluation tried and could not. "-": the paper has no value.

Without --table, the tables for which something was measured, and the names of the others; all if no folder is given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ultrabm_jax import cli
from ultrabm_jax.errors import UserError
from ultrabm_jax.report.evaluations import Evaluation, find_evaluations
from ultrabm_jax.report.published import TABLES, Quantity, Table
from ultrabm_jax.report.published.table import NONE, UNKNOWN

NOT_RUN = "not run"
Numbered = Sequence[tuple[int, Evaluation]]
Lines = list[list[str]]


def show(evaluations: Sequence[Evaluation], names: Sequence[str], *, markdown: bool = False) -> str:
    """The named tables, and what became of the evaluations that none of them has a place for."""
    numbered = list(enumerate(evaluations, start=1))
    parts = [_show_table(TABLES[name], numbered, markdown=markdown) for name in names]
    used = {n for name in names for n, _ in measured(TABLES[name], numbered)}
    rest = [f"[{n}] {_describe(e)}" for n, e in numbered if n not in used]
    if rest:
        heading = "Without a place above (another data set, split or scale):"
        parts.append("\n".join([heading, *(f"- {line}" for line in rest)]))
    return "\n\n".join(parts) + "\n"


def measured(table: Table, evaluations: Numbered) -> Numbered:
    """The evaluations that fill at least one cell."""
    return [(n, e) for n, e in evaluations if any(e.fits(c) for c in table.conditions) and _fills(table, e)]


def _fills(table: Table, evaluation: Evaluation) -> bool:
    methods = evaluation.rows(table).values()
    return any(evaluation.value(method, q) is not None for method in methods for q in table.quantities)


def _show_table(table: Table, evaluations: Numbered, *, markdown: bool) -> str:
    ours = measured(table, evaluations)
    blocks = [_show_quantity(table, i, ours, markdown=markdown) for i in range(len(table.quantities))]
    notes = [*(f"[{n}] {_describe(e, table)}" for n, e in ours), *table.notes, f"source: {table.source}"]
    title = f"## {table.title}" if markdown else f"{table.title}\n{'=' * len(table.title)}"
    return "\n\n".join([title, *blocks, "\n".join(f"- {note}" for note in notes)])


def _show_quantity(table: Table, number: int, evaluations: Numbered, *, markdown: bool) -> str:
    quantity = table.quantities[number]
    heading = f"{quantity.label}. Paper: {_protocol(quantity.theirs)}. Ours: {quantity.ours or 'not measured here'}."
    lines = quantity_lines(table, number, evaluations)
    return f"**{heading}**\n\n{_as_markdown(lines)}" if markdown else f"{heading}\n{_as_text(lines)}"


def _protocol(theirs: str) -> str:
    return "protocol unknown" if theirs == UNKNOWN else theirs


def quantity_lines(table: Table, number: int, evaluations: Numbered) -> Lines:
    """Heading and rows of one quantity: the paper's methods, then those that only we measured."""
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
    """Where, what, on which data; and, in a table, on how much of it and how unlike the paper's."""
    summary = evaluation.summary
    variant = evaluation.field("model.variant")
    model = f"{evaluation.model} ({variant})" if variant else evaluation.model
    what = f"{model}, step {summary['step']}" if evaluation.trained else ", ".join(evaluation.methods)
    parts = [f"{evaluation.path}: {what}; {summary['dataset']} x{summary['scale']}, {summary['count']} images"]
    if table is not None:
        wholes = [c.count for c in table.conditions if evaluation.fits(c) and c.count not in (None, summary["count"])]
        parts += [f"the whole set has {count}" for count in wholes]
        parts += evaluation.differences(table)
    else:
        parts += [f"{name} {value:.3f}" for name, value in summary["mean"].items() if isinstance(value, float)]
    return "; ".join(parts)


def _as_text(lines: Lines) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]
    return "\n".join(f"  {row}" for row in rows)


def _as_markdown(lines: Lines) -> str:
    head, *rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rows])


def main(argv: Sequence[str] | None = None) -> None:
    flags = argparse.ArgumentParser(prog="python -m ultrabm_jax.report.tables", description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    flags.add_argument("folders", nargs="*", metavar="DIR", help="evaluations, workdirs, or folders of them")
    flags.add_argument("--table", action="append", metavar="NAME", help=f"all, or one of: {', '.join(TABLES)}")
    flags.add_argument("--format", choices=("text", "markdown"), default="text")
    args = flags.parse_args(argv)
    evaluations = find_evaluations(args.folders)
    names = _choose(args.table, evaluations)
    print(show(evaluations, names, markdown=args.format == "markdown"), end="")
    if not args.table and len(names) < len(TABLES):
        print(f"\nTables of which nothing was run: {', '.join(name for name in TABLES if name not in names)}")


def _choose(asked: Sequence[str] | None, evaluations: Sequence[Evaluation]) -> list[str]:
    """Names of the tables to show."""
    unknown = sorted(set(asked or ()) - {"all", *TABLES})
    if unknown:
        raise UserError(f"unknown table {unknown[0]!r}; known: all, {', '.join(TABLES)}")
    if asked and "all" not in asked:
        return [name for name in TABLES if name in asked]
    if asked or not evaluations:
        return list(TABLES)
    numbered = list(enumerate(evaluations, start=1))
    return [name for name, table in TABLES.items() if measured(table, numbered)]


if __name__ == "__main__":
    sys.exit(cli.run(lambda: main()))
