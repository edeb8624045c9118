"""The papers' tables: the printed values, and that a measured value fills only the cell it belongs to."""

import copy
import importlib
import json
import re

import pytest

from configs import ultrabm_rellisur_x2
from input_pipeline.builders import BUILDERS
from input_pipeline.sources.datasets import DATASETS
from ultrabm_jax import cli
from ultrabm_jax.config import default_config as get_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.models import create_model
from ultrabm_jax.report import tables
from ultrabm_jax.report.evaluations import find_evaluations
from ultrabm_jax.report.published import TABLES
from ultrabm_jax.report.published.table import NONE

CROPS = "data: whole images (paper: crops to multiples of 16, whose offset is unknown)"


def summary(**changes):
    config = copy.deepcopy(ultrabm_rellisur_x2.get_config())
    mean = {"psnr_rgb": 21.9876, "ssim_rgb": 0.7, "lpips_alex": None}
    found = {
        "model": "ultrabm", "dataset": "rellisur", "scale": 2, "count": 425, "step": 900, "mean": mean,
        "baselines": {"bicubic": {"psnr_rgb": 8.0, "ssim_rgb": 0.25, "lpips_alex": None}},
        "trained_on": "rellisur", "own_methods": ["ultrabm"],
        "selection": {"reason": "best psnr_rgb on rellisur val", "evaluation_set": None, "on_measured_images": False},
        "speed": {"parameters": 69_623_223, "gmacs_convolutions": 36.2, "milliseconds": 44.4},
        "config": json.loads(config.to_json()),
    }  # fmt: skip
    found["config"]["model"] |= {"semantic": "hrnet_w48"}
    found["config"]["loss"] |= {"perceptual": "vgg19"}
    for field, value in changes.items():
        place = found
        *parents, last = field.split("__")
        for part in parents:
            place = place[part]
        place[last] = value
    return found


@pytest.fixture
def write(tmp_path):
    """`write("run", **changes)`: an evaluation in tmp_path/run/eval; returns the folder of the run."""

    def make(name, **changes):
        folder = tmp_path / name / "eval"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps(summary(**changes)))
        return str(tmp_path / name)

    return make


def marked_cells(name, label, folders=()):
    """({row: [values]} of one quantity, and the column headings under "", {letter: note})."""
    number = [quantity.label for quantity in TABLES[name].quantities].index(label)
    evaluations = [(n, e) for n, e in enumerate(find_evaluations(folders), 1)]
    marks = tables.Marks()
    lines = tables.quantity_lines(TABLES[name], number, tables.evaluations_of(TABLES[name], evaluations), marks)
    return {row: values for row, *values in lines}, {letter: text for text, letter in marks.letters.items()}


def cells(name, label, folders=()):
    """The same without the letters of the notes."""
    found, _ = marked_cells(name, label, folders)
    return {row: [re.sub(r" \([a-z,]+\)$", "", value) for value in values] for row, values in found.items()}


def notes_of(name, label, folder, row):
    """The notes of the last value of a row."""
    found, notes = marked_cells(name, label, [folder])
    match = re.search(r" \(([a-z,]+)\)$", found[row][-1])
    return {notes[letter] for letter in match[1].split(",")} if match else set()


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
            cli.check_field(get_config(network), field)
        for fields in TABLES[name].required.values():
            options = {f.removeprefix("model."): v for f, v in fields.items() if f.startswith("model.")}
            create_model(network, **options)
    for condition in TABLES[name].conditions:
        for dataset in (condition.dataset, condition.trained_on):
            assert dataset in (None, "", *DATASETS, *BUILDERS)


def test_values_of_the_papers():
    assert cells("ultrabm_1", "LPIPS")["UltraBM"] == [".254", ".371", "not run"]
    assert cells("ultrabm_1", "LOE")["HAT"] == ["42.265", "35.284", "not run"]
    assert cells("ultrais_2", "BRISQUE")["UltraIS"] == ["49.348", "53.043", "not run"]
    assert cells("red_1", "SSIM")["DID"] == [".780", NONE, "not run"]
    assert cells("red_1", "parameters, million")["SID"] == ["7.7", "7.7", "not run"]
    assert cells("red_2", "PSNR, best GT^g")["RED, amplifier"] == ["26.08", "not run"]
    assert cells("drgn_2", "PSNR")["DRGN"] == ["20.41", "19.88", "22.86", "21.05", "not run"]


def test_averages_of_drgn_are_those_of_its_three_sets():
    table = TABLES["drgn_2"]
    for method in table.values:
        for quantity, step in ((0, 0.01), (1, 0.001), (2, 0.001)):
            *sets, average = (float(table.value(method, quantity, i)) for i in range(4))
            assert sum(sets) / 3 == pytest.approx(average, abs=1.01 * step), method


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
    conditions = "data x2, 425 images; trained on rellisur; which images chose the checkpoint is not stated"
    assert re.search(rf"^- paper x2: network ultrabm \(model.variant=base, .*\); {conditions}$", shown, re.MULTILINE)
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


def test_a_folder_without_references_fits_the_set_that_it_is_named_after(write):
    changes = {"model": "drgn", "dataset": "folder", "scale": 1, "count": 63, "config__model__name": "drgn",
               "mean": {"niqe_gray": 3.0}, "baselines": {}, "own_methods": ["drgn"]}  # fmt: skip
    folder = write("run", **changes, config__data__root="/data/Real63")
    assert cells("drgn_3", "NIQE", [folder])["DRGN"] == ["3.051", "3.000"]
    assert cells("drgn_3", "NIQE", [write("other", **changes, config__data__root="/data/mine")])["DRGN"][1] == "not run"


@pytest.mark.parametrize(
    ("config", "row"),
    [("drgn_lol", "DRGN"), ("drgn_lol_no_dl_da", "w/o DL-DA"), ("drgn_lol_no_msr", "w/o MSR"),
     ("drgn_lol_no_kl", "w/o KL"), ("drgn_lol_no_ssim", "w/o SSIM")],
)  # fmt: skip
def test_each_config_of_drgns_ablation_fills_its_row(write, config, row):
    trained = importlib.import_module(f"configs.{config}").get_config()
    folder = write("run", model="drgn", dataset="lol1000", scale=1, count=1000, mean={"psnr_rgb": 19.0}, baselines={},
                   own_methods=["drgn"], trained_on="lol", config=json.loads(trained.to_json()))  # fmt: skip
    found = cells("drgn_1", "PSNR", [folder])
    assert [name for name, values in found.items() if name and values[-1] != "not run"] == [row]
    notes = notes_of("drgn_1", "PSNR", folder, row)
    assert "loss.lambda_adv_low=1.0 (paper: 1e-05)" in " ".join(notes)
    assert "on lol (paper: lol_drgn)" in " ".join(notes)
    for field in ("model.groups", "model.dl_da", *(["loss.lambda_kl"] if row == "w/o KL" else [])):
        assert field not in " ".join(notes)


def test_marks_continue_after_z():
    marks = tables.Marks()
    values = [marks.mark("1", [str(number)]) for number in range(28)]
    assert [values[0], values[25], values[26], values[27]] == ["1 (a)", "1 (z)", "1 (aa)", "1 (ab)"]
    assert marks.mark("2", ["27", "1"]) == "2 (ab,b)"
    assert marks.mark("3", []) == "3"


def speed_file(path, **changes):
    """A file of `ultrabm-jax speed` with one measurement of RED's released network."""
    speed = {"input": "2848x4256", "parameters": 784_768, "gmacs_convolutions": 59.58, "gmacs_one_generator": 59.58,
             "memory_gib": 1.5, "milliseconds": 2160.0, "device": "EPYC", "platform": "cpu", "cores": 2}  # fmt: skip
    record = {"name": "red", "scale": 1, "model": {"name": "red", "rdb": "star"}, "date": "2026-11-29",
              "versions": {"jax": "1"}, "speed": speed}  # fmt: skip
    for field, value in changes.items():
        (record if field in record else speed)[field] = value
    path.write_text(json.dumps({"speed": [record]}))
    return str(path)


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


def test_a_measurement_of_another_variant_is_noted(tmp_path):
    model = {"name": "lw_drgn", "variant": "base", "dl_da": False, "input_maps": True, "deg_gain": 1.0}
    path = speed_file(tmp_path / "speed.json", model=model, input="384x384")
    assert cells("drgn_2", "GFLOPs", [path])["LW-DRGN"][4:] == ["59.580"]
    assert notes_of("drgn_2", "GFLOPs", path, "LW-DRGN") == {
        "network: model.dl_da=False (paper: True), model.input_maps=True (paper: False)"
    }


def test_operations_of_an_evaluation_are_those_of_its_size(write):
    """An evaluation measures at 128x128; RED's Table 1 has whole frames."""
    changes = {"model": "red", "dataset": "sid_sony", "scale": 1, "config__model__name": "red",
               "config__eval__amplify": ["ratio"], "mean": {"psnr_rgb": 28.0}, "baselines": {}}  # fmt: skip
    folder = write("run", **changes)
    assert cells("red_1", "parameters, million", [folder])["RED"][2] == "69.623"
    assert cells("red_1", "G multiply-adds", [folder])["RED"][2] == "not run"


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


def test_baselines_without_a_trained_model(write):
    folder = write("lol", model="bicubic", dataset="lol", scale=1, count=15, step=None, mean={"psnr_rgb": 7.77},
                   speed=None, baselines={"zero_dce": {"psnr_rgb": 14.86}, "gamma": {"psnr_rgb": 16.04}})  # fmt: skip
    found = cells("lol_eval15", "PSNR", [folder])
    assert [found[row] for row in ("input", "Zero-DCE", "SCI", "gamma")] == [
        ["7.77", "7.770"], ["14.86", "14.860"], ["14.78", "not run"], [NONE, "16.040"]]  # fmt: skip


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
    with pytest.raises(UserError, match="no evaluation"):
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
