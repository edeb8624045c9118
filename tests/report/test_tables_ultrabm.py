"""UltraBM's and UltraIS's tables: values, the row of a run or ablation, and notes about other conditions."""

import copy
import json
import re

import pytest
from report.paper_tables import CROPS, cells, marked_cells, notes_of, summary

from ultrabm_jax.report import tables
from ultrabm_jax.report.evaluations import find_evaluations
from ultrabm_jax.report.published.table import NONE


def test_values_of_the_paper():
    assert cells("ultrabm_1", "LPIPS")["UltraBM"] == [".254", ".371", "not run"]
    assert cells("ultrabm_1", "LOE")["HAT"] == ["42.265", "35.284", "not run"]
    assert cells("ultrais_2", "BRISQUE")["UltraIS"] == ["49.348", "53.043", "not run"]


def test_a_run_fills_its_row_and_names_its_protocol(write):
    folder = write("run")
    assert cells("ultrabm_1", "PSNR", [folder]) == {
        "": ["paper x2", "paper x4", "[1] x2"],
        **{row: [*values[:2], "not run"] for row, values in cells("ultrabm_1", "PSNR").items() if row},
        "UltraBM": ["22.264", "21.036", "21.988"],
        "bicubic": [NONE, NONE, "8.000"],
    }
    assert cells("ultrabm_1", "LPIPS", [folder])["UltraBM"][2] == "n/a"  # requested, not available
    assert cells("ultrabm_1", "NIQE", [folder])["UltraBM"][2] == "not run"
    shown = tables.show(find_evaluations([folder]), ["ultrabm_1"])
    assert "PSNR. Paper: unknown; the released code takes 8-bit images. Ours: psnr_rgb." in shown
    assert "SSIM. Paper: protocol unknown. Ours: ssim_rgb." in shown


def test_differences_from_the_papers_config_are_listed(write):
    folder = write("run", count=10, config__model__variant="small", config__train__steps=2500)
    shown = tables.show(find_evaluations([folder]), ["ultrabm_1"])
    (line,) = [line for line in shown.splitlines() if line.startswith("- [1]")]
    assert "ultrabm (small), step 900, best psnr_rgb on rellisur val; rellisur test x2, 10 images" in line
    assert notes_of("ultrabm_1", "PSNR", folder, "UltraBM") == {
        "network: model.variant=small (paper: base)",
        "training: train.steps=2500 (paper: 150000)",
        "data: 10 images (paper: 425)",
        CROPS,
    }
    assert "(a) differs from the paper: network: model.variant=small (paper: base)" in shown


@pytest.mark.parametrize(
    ("changes", "table", "row"),
    [
        ({}, "ultrabm_4", "two, second sees v"),
        ({}, "ultrabm_6", "all"),
        ({"config__model__stream": "one"}, "ultrabm_4", "one stream"),
        ({"config__model__isdm": "no_smu", "config__loss__lambda_sl": 0.0}, "ultrabm_5", "(c) ISDM without SMU"),
        ({"config__model__isdm": "no_smu"}, "ultrabm_5", None),
        ({"config__loss__lambda_p": 0.0}, "ultrabm_6", "no L_P"),
    ],
    ids=str,
)
def test_an_ablation_fills_the_row_of_its_config(write, changes, table, row):
    found = cells(table, "PSNR", [write("run", **changes)])
    filled = [name for name, values in found.items() if name and values[-1] != "not run"]
    assert filled == ([row] if row else [])


def test_speed_is_converted_to_the_papers_units(write):
    folder = write("run", dataset="lol")
    assert cells("ultrabm_3", "parameters, million", [folder])["UltraBM"][2] == "69.623"
    assert cells("ultrabm_3", "seconds", [folder])["UltraBM"][2] == "0.044"


def test_a_run_under_the_papers_conditions_has_only_the_notes_of_the_table(write):
    folder = write("run")
    assert notes_of("ultrabm_1", "PSNR", folder, "UltraBM") == {CROPS}
    assert notes_of("ultrabm_1", "PSNR", folder, "bicubic") == {CROPS}
    assert marked_cells("ultrabm_1", "PSNR", [folder])[0]["MIRNet"] == ["21.054", "19.773", "not run"]
    shown = tables.show(find_evaluations([folder]), ["ultrabm_1"])
    paper = r"- paper x2 \(425 images\), x4 \(425 images\): network ultrabm \(model.variant=base, .*\)"
    conditions = "trained on rellisur; which images chose the checkpoint is not stated"
    assert re.search(rf"^{paper}; {conditions}$", shown, re.MULTILINE)
    assert "425 images; trained on rellisur" in shown.split("\n- [1] ")[1].split("\n")[0]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"config__model__heads": 1, "config__model__semantic": "vgg16"},
         "network: model.semantic=vgg16 (paper: hrnet_w48)"),
        ({"trained_on": "lol"}, "training: on lol (paper: rellisur)"),
        ({"trained_on": None}, "training: on data that is not recorded (paper: rellisur)"),
        ({"selection": {"reason": "best psnr_rgb on rellisur test", "on_measured_images": True}},
         "checkpoint: the measured images chose the checkpoint, so its results on them are too good"),
        ({"selection": None}, "checkpoint: it is not recorded which images chose it; earlier releases chose the best "
         "checkpoint on the test images"),
        ({"counts": {"ultrabm": {"psnr_rgb": 400}}}, "data: 400 images (paper: 425)"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)  # fmt: skip
def test_each_condition_that_differs_has_a_note(write, changes, note):
    assert notes_of("ultrabm_1", "PSNR", write("run", **changes), "UltraBM") == {CROPS, note}


def test_conditions_of_the_trained_model_do_not_concern_baselines(write):
    folder = write("run", trained_on="lol", config__model__variant="small")
    assert notes_of("ultrabm_1", "PSNR", folder, "bicubic") == {CROPS}


def test_fields_are_those_with_which_the_model_was_trained(write):
    trained = copy.deepcopy(summary()["config"])
    trained["train"]["steps"] = 2500
    folder = write("run", run_config=trained)
    assert "training: train.steps=2500 (paper: 150000)" in notes_of("ultrabm_1", "PSNR", folder, "UltraBM")


def test_the_protocol_and_the_device_are_noted_where_they_concern_the_quantity(write):
    folder = write("run")
    assert notes_of("ultrabm_3", "seconds", folder, "UltraBM") == {"device: not recorded (paper: RTX 2080 Ti)"}
    assert notes_of("ultrabm_3", "parameters, million", folder, "UltraBM") == set()
    folder = write("scored", mean={"lpips_alex": 0.3})
    assert notes_of("ultrabm_1", "LPIPS", folder, "UltraBM") == {CROPS, "protocol: RGB (the released code: BGR)"}


def test_an_evaluation_by_an_earlier_release_has_the_current_field_names(write):
    folder = write("run")
    path = f"{folder}/eval/metrics.json"
    with open(path) as file:
        earlier = json.load(file)
    earlier["config"]["model"]["stage2_input"] = earlier["config"]["model"].pop("second_stream_input")
    with open(path, "w") as file:
        json.dump(earlier, file)
    (evaluation,) = find_evaluations([folder])
    assert evaluation.field("model.second_stream_input") == "v"
