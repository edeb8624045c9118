"""The papers' tables: their form, and that a measured value fills only the cell it belongs to."""

import re

import pytest
from report.paper_tables import cells

from input_pipeline.builders import BUILDERS
from input_pipeline.sources.datasets import DATASETS
from ultrabm_jax.config import default_config as get_config
from ultrabm_jax.config_flags import check_field
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.models import create_model
from ultrabm_jax.report import tables
from ultrabm_jax.report.evaluations import find_evaluations
from ultrabm_jax.report.published import TABLES
from ultrabm_jax.report.published.table import NONE


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_all_its_cells(name):
    table = TABLES[name]
    for method, text in table.values.items():
        values = text.split()
        assert len(values) == len(table.quantities), method
        assert {len(cell.split("/")) for cell in values} <= {1, len(table.conditions)}, method
        for part in re.split("[ /]", text):
            assert part == NONE or re.fullmatch(r">?\d*\.?\d+\*?(\.\.[\d.]+)?", part), (method, part)
    assert set(table.methods) <= set(table.values)
    assert set(table.required) <= set(table.values)


@pytest.mark.parametrize("name", TABLES)
def test_protocols_and_fields_exist_in_this_library(name):
    for quantity in TABLES[name].quantities:
        assert quantity.protocol is None or quantity.protocol.startswith("speed.") or quantity.protocol in METRICS
    for network in TABLES[name].networks:
        fields = [*TABLES[name].paper_config, *(f for fields in TABLES[name].required.values() for f in fields)]
        for field in fields:
            check_field(get_config(network), field)
        for fields in TABLES[name].required.values():
            options = {f.removeprefix("model."): v for f, v in fields.items() if f.startswith("model.")}
            create_model(network, **options)
    for condition in TABLES[name].conditions:
        for dataset in (condition.dataset, condition.trained_on):
            assert dataset in (None, "", *DATASETS, *BUILDERS)


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "lol"},
        {"scale": 1},
        {"split": "val"},
        {"split": "eval_root elsewhere"},
        {"config__data__eval_split": "val"},
        {"config__data__eval_root": "elsewhere"},
    ],
    ids=str,
)
def test_evaluations_on_other_data_are_kept_apart(write, changes):
    folder = write("run", **changes)
    assert "[1] x2" not in cells("ultrabm_1", "PSNR", [folder])[""]
    shown = tables.show(find_evaluations([folder]), ["ultrabm_1"])
    assert "In none of the tables above" in shown
    assert "psnr_rgb 21.988" in shown


def test_several_runs_have_a_column_each(write):
    runs = [write("a"), write("b", scale=4, mean={"psnr_rgb": 20.5}), write("c", mean={"psnr_rgb": "inf"})]
    found = cells("ultrabm_1", "PSNR", runs)
    assert found[""] == ["paper x2", "paper x4", "[1] x2", "[2] x4", "[3] x2"]
    assert found["UltraBM"][2:] == ["21.988", "20.500", "inf"]
    assert cells("ultrabm_1", "SSIM", runs)["UltraBM"][2:] == ["0.700", "not run", "not run"]


def test_marks_continue_after_z():
    marks = tables.Marks()
    values = [marks.mark("1", [str(number)]) for number in range(28)]
    assert [values[0], values[25], values[26], values[27]] == ["1 (a)", "1 (z)", "1 (aa)", "1 (ab)"]
    assert marks.mark("2", ["27", "1"]) == "2 (ab,b)"
    assert marks.mark("3", []) == "3"


def test_markdown_is_a_table(write):
    shown = tables.show(find_evaluations([write("run")]), ["ultrabm_4"], markdown=True)
    lines = [line for line in shown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {4}
    assert "| two, second sees v | 22.264 | 21.988 (a) |" in lines


def test_the_command(write, tmp_path, capsys):
    write("a")
    write("b", scale=4)
    tables.main([str(tmp_path)])  # a folder of workdirs
    shown = capsys.readouterr().out
    assert shown.count("===\n") >= 1
    assert "[2] x4" in shown
    assert "DRGN" not in shown
    assert "Tables without results: ultrabm_5, lol_eval15, red_1, red_2" in shown
    tables.main([])
    shown = capsys.readouterr().out
    assert all(table.title in shown for table in TABLES.values())
    tables.main(["--table", "red_2", "--format", "markdown"])
    assert capsys.readouterr().out.startswith("## RED, Table 2")


def test_an_evaluation_is_read_once(write, tmp_path):
    folder = write("run")
    assert len(find_evaluations([folder, f"{folder}/eval", str(tmp_path)])) == 1


def test_errors_name_the_cause(tmp_path):
    with pytest.raises(UserError, match=r"unknown table 'red_9'; known: all, ultrabm_1"):
        tables.main(["--table", "red_9"])
    with pytest.raises(UserError, match=r"no evaluation .*`eval.py --workdir RUN` writes one to RUN/eval"):
        tables.main([str(tmp_path)])
    (tmp_path / "speed.json").write_text("{}")
    with pytest.raises(UserError, match=r"speed\.json: not a file of `ultrabm-jax speed`"):
        tables.main([str(tmp_path / "speed.json")])
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"metrics\.json: not the metrics\.json of an evaluation"):
        tables.main([str(tmp_path)])
    (tmp_path / "metrics.json").write_text('{"model": "x"}')
    with pytest.raises(UserError, match="baselines, count, dataset, mean, scale missing"):
        tables.main([str(tmp_path)])
