"""DRGN's tables: values, the runs of the ablation, folders without references, and efficiency."""

import importlib
import json

import pytest
from report.paper_tables import cells, notes_of, speed_file

from ultrabm_jax.report.published import TABLES


def test_values_of_the_paper():
    assert cells("drgn_2", "PSNR")["DRGN"] == ["20.41", "19.88", "22.86", "21.05", "not run"]


def test_averages_of_drgn_are_those_of_its_three_sets():
    table = TABLES["drgn_2"]
    for method in table.values:
        for quantity, step in ((0, 0.01), (1, 0.001), (2, 0.001)):
            *sets, average = (float(table.value(method, quantity, i)) for i in range(4))
            assert sum(sets) / 3 == pytest.approx(average, abs=1.01 * step), method


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


def test_a_measurement_of_another_variant_is_noted(tmp_path):
    model = {"name": "lw_drgn", "variant": "base", "dl_da": False, "input_maps": True, "deg_gain": 1.0}
    path = speed_file(tmp_path / "speed.json", model=model, input="384x384")
    assert cells("drgn_2", "GFLOPs", [path])["LW-DRGN"][4:] == ["59.580"]
    assert notes_of("drgn_2", "GFLOPs", path, "LW-DRGN") == {
        "network: model.dl_da=False (paper: True), model.input_maps=True (paper: False)"
    }
