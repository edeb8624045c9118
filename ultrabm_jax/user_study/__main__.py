"""Makes the page of a blind user study, or summarises its answers.

    python -m ultrabm_jax.user_study page input=LOW a=FOLDER b=FOLDER --output STUDY
    python -m ultrabm_jax.user_study summarise STUDY/key.json ANSWERS.json ... [--table OPINIONS.md]

Send STUDY without key.json to the raters, or serve it; each downloads a file of answers at the end.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence

from ultrabm_jax.cli import command_parser, local_name, local_path, named_paths, run
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.write import write_file
from ultrabm_jax.metrics.folders import list_named
from ultrabm_jax.metrics.score_table import TABLES, align
from ultrabm_jax.user_study.answers import Opinions, read_opinions
from ultrabm_jax.user_study.page import CRITERIA, write_study


def parser() -> argparse.ArgumentParser:
    """The command's flags."""
    flags = command_parser("python -m ultrabm_jax.user_study", __doc__)
    commands = flags.add_subparsers(dest="command", required=True, metavar="COMMAND")
    page = commands.add_parser("page", help="make the page", allow_abbrev=False)
    page.add_argument(
        "methods", type=local_name, nargs="+", metavar="NAME=FOLDER", help="`input` is shown and not rated"
    )
    page.add_argument("--output", required=True, type=local_path, help="folder of the study")
    page.add_argument("--criteria", nargs="+", default=CRITERIA, help=f"default: {', '.join(CRITERIA)}")
    page.add_argument("--images", nargs="+", metavar="IMAGE", help="default: all")
    page.add_argument("--seed", type=int, default=0, help="of the codes and the order; default 0")
    summary = commands.add_parser("summarise", help="mean opinion scores of the answers", allow_abbrev=False)
    summary.add_argument("key", type=local_path, help="key.json of the study")
    summary.add_argument("answers", nargs="+", type=local_path, metavar="ANSWERS.json")
    summary.add_argument("--table", type=local_path, help=f"also write a table: {', '.join(TABLES)}")
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    args = parser().parse_args(argv)
    if args.command == "page":
        methods = {name: list_named(path) for name, path in named_paths(args.methods, "a method").items()}
        count = write_study(args.output, methods, criteria=args.criteria, images=args.images, seed=args.seed)
        print(f"{args.output / 'index.html'}: {count} images to rate; keep {args.output / 'key.json'} private")
        return 0
    if args.table is not None and args.table.suffix not in TABLES:
        raise UserError(f"--table {args.table}: the suffix is one of {', '.join(TABLES)}")
    opinions = read_opinions(args.key, args.answers)
    print(summarise(opinions))
    if args.table is not None:
        write_file(args.table, (_table(opinions, args.table.suffix).rstrip() + "\n").encode())
    return 0


def summarise(opinions: Opinions) -> str:
    """Mean opinion scores with intervals, and the differences of the first method from the others."""
    methods = list(next(iter(opinions.scores.values())))
    lines = [["", *opinions.scores]]
    lines += [[method, *(_cell(opinions, c, method) for c in opinions.scores)] for method in methods]
    first, *others = methods
    lines += [
        [f"{first} minus {other}", *(_gap(opinions, c, first, other) for c in opinions.scores)] for other in others
    ]
    note = f"{len(opinions.raters)} raters, {opinions.answers} answers; [ ]: 95 % bootstrap interval over raters"
    return "\n".join([*align(lines), note])


def _cell(opinions: Opinions, criterion: str, method: str) -> str:
    bounds = opinions.interval(criterion, method)
    return f"{opinions.mean(criterion, method):.3f}{_bounds(bounds)}"


def _gap(opinions: Opinions, criterion: str, first: str, second: str) -> str:
    found = opinions.difference(criterion, first, second)
    return "n/a" if found is None else f"{found.mean:+.3f}{_bounds(found.ci95)}"


def _bounds(bounds: list[float] | None) -> str:
    return "" if bounds is None else f" [{bounds[0]:.3f}, {bounds[1]:.3f}]"


def _table(opinions: Opinions, suffix: str) -> str:
    methods = list(next(iter(opinions.scores.values())))
    means = {m: {c: _known(opinions.mean(c, m)) for c in opinions.scores} for m in methods}
    bounds = {m: {c: opinions.interval(c, m) for c in opinions.scores} for m in methods}
    return TABLES[suffix](means, dict.fromkeys(opinions.scores, True), bounds)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


if __name__ == "__main__":
    sys.exit(run(lambda: main()))
