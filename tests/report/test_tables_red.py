"""RED's tables: values, kinds of amplification, and efficiency."""

import json

import jax
import pytest
from report.paper_tables import cells, notes_of, speed_file

from benchmarks import red_speed
from ultrabm_jax.report import tables
from ultrabm_jax.report.evaluations import find_evaluations
from ultrabm_jax.report.published import TABLES
from ultrabm_jax.report.published.table import NONE


def test_values_of_the_paper():
    assert cells("red_1", "SSIM")["DID"] == [".780", NONE, "not run"]
    assert cells("red_1", "parameters, million")["SID"] == ["7.7", "7.7", "not run"]
    assert cells("red_2", "PSNR, best GT^g")["RED, amplifier"] == ["26.08", "not run"]
    assert cells("red_3", "NIQE")["SGN, amplifier"] == ["4.35*", "4.28*", "4.63*", "not run"]
    assert cells("red_4", "G multiply-adds")["RED, amplifier"] == ["1.29", "not run"]
    assert cells("red_5", "GPU, %")["FB 2"] == ["33.30", "not run"]


def test_a_file_of_the_speed_command_fills_the_efficiency_columns_of_its_size(tmp_path):
    path = speed_file(tmp_path / "speed.json")
    assert cells("red_1", "G multiply-adds", [path])[""] == ["paper Bayer", "paper X-Trans", "[1] Bayer"]
    found = {label: cells("red_1", label, [path])["RED"][-1] for label in (q.label for q in TABLES["red_1"].quantities)}
    assert found == {
        "parameters, million": "0.785", "G multiply-adds": "59.580", "memory, GB": "1.611", "GPU, ms": "not run",
        "CPU, s": "2.160", "PSNR": "not run", "SSIM": "not run", "NIQE": "not run", "Ma": "not run"}  # fmt: skip
    assert notes_of("red_1", "CPU, s", path, "RED") == {"device: EPYC (paper: Xeon E5-1620V4)"}
    assert notes_of("red_1", "G multiply-adds", path, "RED") == set()
    shown = tables.show(find_evaluations([path]), ["red_1"])
    assert "speed.json: red, 2026-11-29; red x1, input 2848x4256; EPYC (cpu, 2 CPU cores); jax 1" in shown
    other = speed_file(tmp_path / "other.json", input="512x512")
    assert "In none of the tables above" in tables.show(find_evaluations([other]), ["red_1"])
    gpu = speed_file(tmp_path / "gpu.json", input="4032x6032", platform="gpu", milliseconds=60.0)
    assert cells("red_1", "GPU, ms", [gpu])["RED"][2:] == ["60.000"]
    assert cells("red_1", "CPU, s", [gpu])["RED"][2:] == ["not run"]


def test_operations_of_an_evaluation_are_those_of_its_size(write):
    """An evaluation measures at 128x128; RED's Table 1 has whole frames."""
    changes = {"model": "red", "dataset": "sid_sony", "scale": 1, "config__model__name": "red",
               "config__eval__amplify": ["ratio"], "mean": {"psnr_rgb": 28.0}, "baselines": {}}  # fmt: skip
    folder = write("run", **changes)
    assert cells("red_1", "parameters, million", [folder])["RED"][2] == "69.623"
    assert cells("red_1", "G multiply-adds", [folder])["RED"][2] == "not run"


def test_amplifications_of_red_fill_different_tables(write):
    changes = {"model": "red", "dataset": "sid_sony", "scale": 1, "config__model__name": "red",
               "config__eval__amplify": ["ratio", "auto"], "mean": {"psnr_rgb": 28.0},
               "baselines": {"red_auto": {"psnr_rgb": 23.0}, "demosaiced": {"psnr_rgb": 17.0}}}  # fmt: skip
    folder = write("run", **changes)
    assert cells("red_1", "PSNR", [folder])["RED"][2] == "28.000"
    assert cells("red_2", "PSNR", [folder])["RED, amplifier"][1] == "23.000"
    assert "red" not in cells("red_2", "PSNR", [folder])
    rows = {"RED": "red_1", "red_auto": "red_1", "RED, amplifier": "red_2"}
    amplified = {row: {note for note in notes_of(name, "PSNR", folder, row) if "amplif" in note}
                 for row, name in rows.items()}  # fmt: skip
    assert amplified == {
        "RED": set(),
        "red_auto": {"amplification: the released estimator (paper: the ratio of the exposures)"},
        "RED, amplifier": {"amplification: the released estimator (paper: equations 5 to 7, m = 0.5)"},
    }


def test_operations_of_other_cameras_are_in_proportion_to_their_frames():
    """Table 3 prints no frame sizes; ours must give the printed operations from those of Table 1."""
    table = TABLES["red_3"]
    column = [quantity.label for quantity in table.quantities].index("G multiply-adds")
    for row, whole_frame in (("SID, amplifier", 562.06), ("RED, amplifier", 59.8)):
        for number, condition in enumerate(table.conditions):
            height, width = map(int, condition.input.split("x"))
            expected = whole_frame * height * width / (2848 * 4256)
            assert float(table.value(row, column, number)) == pytest.approx(expected, rel=2e-4), condition.label


def test_an_evaluation_on_another_camera_fills_its_column(write):
    changes = {"model": "red", "dataset": "eld_nikon", "scale": 1, "count": 60, "config__model__name": "red",
               "config__model__rdb": "canonical", "config__eval__amplify": ["auto", "ratio"], "baselines": {},
               "trained_on": "sid_fuji", "mean": {"psnr_rgb": 25.0, "niqe_gray": 4.5},
               "own_methods": ["red"]}  # fmt: skip
    folder = write("run", **changes)
    found = cells("red_3", "PSNR", [folder])
    assert found[""] == ["paper Canon EOS 70D", "paper Canon EOS 700D", "paper Nikon D850", "[1] Nikon D850"]
    assert found["RED, amplifier"] == [NONE, NONE, NONE, "25.000"]
    assert cells("red_3", "NIQE", [folder])["RED, amplifier"][3] == "4.500"
    notes = " ".join(notes_of("red_3", "PSNR", folder, "RED, amplifier"))
    assert "amplification: the released estimator (paper: equations 5 to 7, m = 0.5)" in notes
    assert "model.rdb=canonical (paper: star)" in notes
    assert "on sid_fuji (paper: sid_sony)" in notes
    assert "protocol: values rounded to 8 bits (paper: truncated)" in notes
    assert "[1] Nikon D850" not in cells("red_1", "PSNR", [folder])[""]


def test_operations_fill_the_columns_of_their_camera_and_of_the_detection_table(tmp_path):
    nikon = speed_file(tmp_path / "nikon.json", input="3616x5440", gmacs_convolutions=96.69)
    found = cells("red_3", "G multiply-adds", [nikon])
    assert found["RED, amplifier"] == ["98.48", "88.38", "97.04", "96.690"]
    small = speed_file(tmp_path / "small.json", input="512x512", gmacs_convolutions=1.288)
    assert cells("red_4", "G multiply-adds", [small])["RED, amplifier"] == ["1.29", "1.288"]
    assert cells("red_4", "mAP, %", [small])["RED, amplifier"] == ["54.67", "not run"]


def test_shares_of_the_blocks_fill_table_5(tmp_path):
    percent = {"lse": 18.0, "mse": 11.0, "hse": 11.0, "fb1": 18.0, "fb2": 42.0}
    path = speed_file(tmp_path / "blocks.json", input="2048x4096", block_percent=percent)
    assert cells("red_5", "CPU, %", [path]) == {
        "": ["paper", "[1]"],
        "LSE": ["14.58", "18.000"],
        "MSE": ["16.23", "11.000"],
        "HSE": ["15.36", "11.000"],
        "FB 1": ["17.94", "18.000"],
        "FB 2": ["35.89", "42.000"],
    }
    assert notes_of("red_5", "CPU, %", path, "FB 2") == {"device: EPYC (paper: Xeon E5-1620V4)"}
    assert cells("red_5", "GPU, %", [path])["LSE"] == ["15.05", "not run"]
    assert "In none of the tables above" in tables.show(find_evaluations([path]), ["red_1"])
    gpu = speed_file(tmp_path / "gpu.json", platform="gpu", block_percent=percent)
    assert cells("red_5", "GPU, %", [gpu])["FB 2"] == ["33.30", "42.000"]
    assert not {"lse", "fb2"} & cells("red_1", "G multiply-adds", [gpu]).keys()


def test_the_benchmark_writes_the_shares_of_the_blocks(tmp_path):
    seconds = dict.fromkeys(("lse", "mse", "hse", "fb1"), 0.15) | {"fb2": 0.4}
    row = {"size": "512x512", "dtype": "float32", "blocks": {"ours": seconds, "torch": seconds}}
    records = red_speed.shares([row, {**row, "dtype": "bfloat16"}])
    path = tmp_path / "blocks.json"
    path.write_text(json.dumps({"speed": records}))
    assert len(records) == 1
    platform = jax.default_backend().upper()
    assert [values[-1] for values in cells("red_5", f"{platform}, %", [str(path)]).values()] == [
        "[1]", *["15.000"] * 4, "40.000"]  # fmt: skip
