"""Shows the papers' tables next to the results of evaluations.

    python -m ultrabm_jax.report.tables [WORKDIR_OR_EVAL_DIR_OR_SPEED_JSON ...] [--table NAME] [--format text|markdown]

There is one block for each quantity. Its heading names the paper's protocol, as far as it is known, and ours. A column
is the paper, or evaluation `[n]`, under one condition (data set and scale). A cell has a value only if data set, split,
scale and method agree. Other cells are `not run`, or `n/a` if the evaluation requested the value but it is not
available. "-": the paper has no value.

The list below the table has the conditions of each column: network, data, training data, amplification, and which
images chose the checkpoint. A value with a letter, such as `21.988 (a)`, was obtained under other conditions than the
paper's; note (a) says what differs. What a paper does not state is not marked. Operations, memory and time come from
JSON files of `ultrabm-jax speed`, at the size of the paper's table.

Without --table, shows the tables that have measured values and names the others; without folders, shows all tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ultrabm_jax import cli
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics.score_table import align
from ultrabm_jax.report.conditions import describe_evaluation, describe_paper, differences
from ultrabm_jax.report.evaluations import NOT_AVAILABLE, Evaluation, find_evaluations
from ultrabm_jax.report.published import TABLES, Condition, Quantity, Table
from ultrabm_jax.report.published.table import NONE, UNKNOWN

NOT_RUN = "not run"
Numbered = Sequence[tuple[int, Evaluation]]
Lines = list[list[str]]


def show(evaluations: Sequence[Evaluation], names: Sequence[str], *, markdown: bool = False) -> str:
    """The named tables, and a list of the evaluations that fit none of them."""
    numbered = list(enumerate(evaluations, start=1))
    parts = [_show_table(TABLES[name], numbered, markdown=markdown) for name in names]
    used = {n for name in names for n, _ in evaluations_of(TABLES[name], numbered)}
    rest = [f"[{n}] {_with_means(e)}" for n, e in numbered if n not in used]
    if rest:
        heading = "In none of the tables above (another data set, split or scale):"
        parts.append("\n".join([heading, *(f"- {line}" for line in rest)]))
    return "\n\n".join(parts) + "\n"


def evaluations_of(table: Table, evaluations: Numbered) -> Numbered:
    """The evaluations that fill at least one cell of the table."""
    return [(n, e) for n, e in evaluations if any(e.fits(c) for c in table.conditions) and _fills(table, e)]


def _fills(table: Table, evaluation: Evaluation) -> bool:
    methods, fitting = evaluation.rows(table).values(), [c for c in table.conditions if evaluation.fits(c)]
    return any(evaluation.value(m, q, c) is not None for m in methods for q in table.quantities for c in fitting)


def _show_table(table: Table, evaluations: Numbered, *, markdown: bool) -> str:
    ours = evaluations_of(table, evaluations)
    marks = Marks()
    blocks = [_show_quantity(table, i, ours, marks, markdown=markdown) for i in range(len(table.quantities))]
    notes = [
        *describe_paper(table),
        *(f"[{n}] {describe_evaluation(e)}" for n, e in ours),
        *(f"({letter}) differs from the paper: {text}" for text, letter in marks.letters.items()),
        *table.notes,
        f"source: {table.source}",
    ]
    title = f"## {table.title}" if markdown else f"{table.title}\n{'=' * len(table.title)}"
    return "\n\n".join([title, *blocks, "\n".join(f"- {note}" for note in notes)])


class Marks:
    """The letters of the notes of one table: {text of the difference: letter}."""

    def __init__(self) -> None:
        self.letters: dict[str, str] = {}

    def mark(self, value: str, texts: Sequence[str]) -> str:
        """ "21.988" -> "21.988 (a,c)"; the value itself if there are no differences."""
        letters = sorted(self.letters.setdefault(text, _letter(len(self.letters))) for text in texts)
        return f"{value} ({','.join(letters)})" if letters else value


def _letter(number: int) -> str:
    """0 -> "a", 26 -> "aa"."""
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("a") + last)


def _show_quantity(table: Table, number: int, evaluations: Numbered, marks: Marks, *, markdown: bool) -> str:
    quantity = table.quantities[number]
    theirs = "protocol unknown" if quantity.paper_protocol == UNKNOWN else quantity.paper_protocol
    heading = f"{quantity.label}. Paper: {theirs}. Ours: {quantity.protocol or 'not measured here'}."
    lines = quantity_lines(table, number, evaluations, marks)
    return f"**{heading}**\n\n{_as_markdown(lines)}" if markdown else f"{heading}\n{_as_text(lines)}"


def quantity_lines(table: Table, number: int, evaluations: Numbered, marks: Marks) -> Lines:
    """Heading and rows of quantity `number`: the paper's methods, then those that only the evaluations have.

    Adds the differences of the values from the paper's to `marks`.
    """
    quantity = table.quantities[number]
    columns = [(n, e, c) for n, e in evaluations for c in table.conditions if e.fits(c)]
    heads = [f"[{n}] {c.label}".strip() for n, _, c in columns]
    lines = [["", *(f"paper {c.label}".strip() for c in table.conditions), *(heads or ["ours"])]]
    extra = dict.fromkeys(row for _, e, _ in columns for row in e.rows(table) if row not in table.values)
    for row in [*table.values, *extra]:
        paper = [table.value(row, number, i) if row in table.values else NONE for i in range(len(table.conditions))]
        own = [_cell(table, quantity, row, e, c, marks) for _, e, c in columns]
        lines.append([row, *paper, *(own or [NOT_RUN])])
    return lines


def _cell(
    table: Table, quantity: Quantity, row: str, evaluation: Evaluation, condition: Condition, marks: Marks
) -> str:
    method = evaluation.rows(table).get(row)
    value = None if method is None else evaluation.value(method, quantity, condition)
    if method is None or value is None:
        return NOT_RUN
    if value == NOT_AVAILABLE:
        return value
    return marks.mark(value, differences(table, quantity, condition, evaluation, row, method))


def _with_means(evaluation: Evaluation) -> str:
    mean = evaluation.summary["mean"].items()
    means = [f"{name} {value:.3f}" for name, value in mean if isinstance(value, float)]
    return "; ".join([describe_evaluation(evaluation), *means])


def _as_text(lines: Lines) -> str:
    return "\n".join(f"  {row}" for row in align(lines))


def _as_markdown(lines: Lines) -> str:
    head, *rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rows])


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    flags = argparse.ArgumentParser(prog="python -m ultrabm_jax.report.tables", description=__doc__,
                                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    flags.add_argument(
        "folders",
        type=cli.local_name,
        nargs="*",
        metavar="DIR",
        help="evaluation folders, workdirs, folders of either, or files of `ultrabm-jax speed`",
    )
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
