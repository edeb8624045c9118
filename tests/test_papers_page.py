"""docs/papers.md: every command parses, every config it names loads, and every file it names exists."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from input_pipeline.sources.members import trained_name
from ultrabm_jax.commands.restore import parser as restore_parser
from ultrabm_jax.config_flags import read_config
from ultrabm_jax.figures.__main__ import parser as figures_parser
from ultrabm_jax.figures.tradeoff import column
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.report.evaluations import Evaluation
from ultrabm_jax.report.published import TABLES
from ultrabm_jax.user_study.__main__ import parser as user_study_parser

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "papers.md").read_text()
COMMANDS = sorted(
    set(re.findall(r"^    (python .*)$", PAGE, re.MULTILINE)) | set(re.findall(r"`(python [^`]*)`", PAGE))
)
ITEMS = PAGE.partition("## UltraBM and UltraIS")[2]  # the sections of the papers
ROWS = [line for line in ITEMS.splitlines() if re.match(r"\| (?!item|---)", line)]
TRAININGS = {}  # workdir: the arguments of its train.py
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


for _command in COMMANDS:
    if _command.startswith("python train.py"):
        _arguments = dict(pairs(shlex.split(_command)[2:]))
        TRAININGS[_arguments["--workdir"]] = _arguments


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
    assert given.keys() & {"--workdir", "--output"}
    assert script == "eval.py" or "--config" in given
    workdir = given.get("--workdir")
    config = read_config(given.get("--config") or TRAININGS[workdir]["--config"], overrides)
    assert config.model.name


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
        read_config(options["--config"], [f"{f}={v}" for f, v in options.items() if f.startswith("--config.")])
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
    assert len(ROWS) > 90
    for row in ROWS:
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


def test_every_published_table_is_in_the_list_of_tables():
    listed = PAGE.split("## Every table")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z]+_\w+|lolisrflow)`", listed)) == TABLES.keys() - {"lol_eval15"}


def test_no_evaluation_replaces_another_one():
    """eval.py replaces what its folder holds; the same evaluation with images may replace that without."""
    evaluations = {c.replace(" --config.eval.images=all", "") for c in COMMANDS if c.startswith("python eval.py")}
    given = [dict(pairs(shlex.split(command)[2:])) for command in evaluations]
    folders = [options.get("--output") or f"{options['--workdir']}/eval" for options in given]
    assert len(folders) > 20
    assert sorted(folders) == sorted(set(folders))


# Table, workdir: the row that an evaluation of the run fills.
ROWS_OF_RUNS = {
    ("ultrabm_1", "ultrabm_x2"): "UltraBM",
    ("ultrabm_1", "ultrabm_x4"): "UltraBM",
    ("ultrabm_4", "one_stream"): "one stream",
    ("ultrabm_4", "sees_x"): "two, second sees x",
    ("ultrabm_4", "ultrabm_x2"): "two, second sees v",
    ("ultrabm_5", "5a"): "(a) all",
    ("ultrabm_5", "5b"): "(b) no ISDM",
    ("ultrabm_5", "5c"): "(c) ISDM without SMU",
    ("ultrabm_5", "5d"): "(d) ISDM without IMU",
    ("ultrabm_5", "5e"): "(e) bilinear",
    ("ultrabm_5", "5f"): "(f) RSMU without FSI",
    ("ultrabm_6", "5a"): "no L_SL",
    ("ultrabm_6", "6"): "no L_P",
    ("ultrabm_6", "ultrabm_x2"): "all",
    ("ultrais_2", "ultrais_x2"): "UltraIS",
    ("lolisrflow", "flow_x2"): "LoLiSRFlow",
    ("lolisrflow", "flow_x4"): "LoLiSRFlow",
    ("drgn_1", "no_dl_da"): "w/o DL-DA",
    ("drgn_1", "no_msr"): "w/o MSR",
    ("drgn_1", "no_kl"): "w/o KL",
    ("drgn_1", "no_ssim"): "w/o SSIM",
    ("drgn_1", "drgn"): "DRGN",
    ("drgn_2", "drgn"): "DRGN",
    ("drgn_2", "lw_drgn"): "LW-DRGN",
    ("drgn_3", "drgn"): "DRGN",
    ("drgn_4a", "drgn_coco"): "DRGN",
}


@pytest.mark.parametrize(("table", "run"), ROWS_OF_RUNS)
def test_a_training_is_that_of_its_row(table, run):
    """As far as the paper states its config: the row's own fields, the common ones and the training data."""
    given = TRAININGS[f"runs/{run}"]
    config = read_config(given["--config"], [f"{f}={v}" for f, v in given.items() if f.startswith("--config.")])
    fields = json.loads(config.to_json_best_effort())
    summary = {"dataset": "any", "run_config": fields, "trained_on": trained_name(config.data)}
    method = TABLES[table].methods[ROWS_OF_RUNS[table, run]]
    evaluation = Evaluation("", summary, {method: {}})
    assert list(evaluation.rows(TABLES[table])) == [ROWS_OF_RUNS[table, run]]
    assert evaluation.trained_on in {condition.trained_on for condition in TABLES[table].conditions}
    for model in (True, False):
        assert not evaluation.differing_fields(TABLES[table], ROWS_OF_RUNS[table, run], model=model)
