"""docs/papers.md: every command parses, every config it names loads, and every file it names exists."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from ultrabm_jax import cli
from ultrabm_jax.commands.restore import parser as restore_parser
from ultrabm_jax.figures.__main__ import parser as figures_parser
from ultrabm_jax.figures.tradeoff import column
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.report.published import TABLES
from ultrabm_jax.user_study.__main__ import parser as user_study_parser

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "papers.md").read_text()
COMMANDS = sorted(
    set(re.findall(r"^    (python .*)$", PAGE, re.MULTILINE)) | set(re.findall(r"`(python [^`]*)`", PAGE))
)
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (?!item|paper|---)", line)]
SCRIPT_FLAGS = {"train.py": {"--workdir"}, "eval.py": {"--workdir", "--output", "--checkpoint"}}
STATE = re.compile(r"not run|runs?[,:; ]|run$|not built|nothing to compute|printed values|in the printed|a unit: ")


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def pairs(arguments):
    """[(flag, value)] of --flag=value and --flag value."""
    found, rest = [], list(arguments)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        found.append((flag, value if equals else rest.pop(0)))
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_each_command_parses(command):
    _, *words = shlex.split(command)
    if words[0] in SCRIPT_FLAGS:
        check_script(words[0], words[1:])
    elif words[0] == "restore.py":
        restore_parser().parse_args(words[1:])
    elif words[0] == "-m":
        check_module(words[1], words[2:])
    else:
        assert_flags_occur(ROOT / words[0], words[1:])


def check_script(script, arguments):
    given = dict(pairs(arguments))
    overrides = [f"{flag}={value}" for flag, value in pairs(arguments) if flag.startswith("--config.")]
    assert {flag for flag in given if not flag.startswith("--config.")} <= {"--config"} | SCRIPT_FLAGS[script]
    config = cli.read_config(given["--config"], overrides)
    assert config.model.name
    assert given.keys() & {"--workdir", "--output"}


def check_module(module, arguments):
    spec = importlib.util.find_spec(module)
    assert spec is not None
    if spec.submodule_search_locations:  # a package, which runs its __main__
        spec = importlib.util.find_spec(f"{module}.__main__")
    assert spec is not None
    assert spec.origin is not None
    if module == "ultrabm_jax.figures":
        check_figure(arguments)
        return
    if module == "ultrabm_jax.user_study":
        user_study_parser().parse_args(arguments)
        return
    assert_flags_occur(Path(spec.origin), arguments)
    if "--config" in arguments:
        options = dict(pairs(arguments))
        cli.read_config(options["--config"], [f"{f}={v}" for f, v in options.items() if f.startswith("--config.")])
    if module == "ultrabm_jax.report.tables":
        assert set(re.findall(r"--table (\S+)", " ".join(arguments))) <= {"all", *TABLES}


def check_figure(arguments):
    args = figures_parser().parse_args(arguments)
    if args.command == "tradeoff":
        assert column(args.x, args.condition).printed()
        assert column(args.y, args.condition).printed()
    assert {*getattr(args, "scores", ()), *(getattr(args, "protocols", ()) or ())} <= set(METRICS)


def assert_flags_occur(file, arguments):
    source = file.read_text()
    if "import side_by_side" in source or "common.side_by_side" in source:  # flags that the benchmarks share
        source += (ROOT / "benchmarks" / "common" / "side_by_side.py").read_text()
    for flag in (word.partition("=")[0] for word in arguments if word.startswith("--")):
        assert flag.startswith("--config.") or f'"{flag}"' in source, flag


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:ultrabm_jax|input_pipeline|configs|benchmarks|tests)/[\w./]+)`", PAGE)))
)
def test_each_file_exists(path):
    assert (ROOT / path).is_file()


def test_each_row_has_a_place_a_command_and_a_state():
    items = [row for row in ROWS if row.count("|") == 5 and "preset" not in row.split("|")[4]]
    assert len(items) > 90
    for row in items:
        item, place, command, state = (cell.strip() for cell in row.strip("|").split("|"))
        assert item
        assert place
        assert "`python " in command or command in ("none", "as above", "one page per run"), row
        assert STATE.search(state), row


@pytest.mark.parametrize(
    ("heading", "equations", "tables"),
    [("UltraBM and UltraIS", 10, 6), ("DRGN", 13, 4), ("RED", 7, 5)],
)
def test_every_equation_and_table_of_a_paper_is_named(heading, equations, tables):
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    named = {kind: set() for kind in ("Equation", "Table", "Figure")}
    for kind, first, last in re.findall(r"(Equation|Table|Figure)s? (\d+)(?:(?: to | and |, )(\d+))?", section):
        named[kind] |= set(range(int(first), int(last or first) + 1))
    assert named["Equation"] >= set(range(1, equations + 1))
    assert named["Table"] >= set(range(1, tables + 1))
