"""Methods that are not the evaluated run: folders of other programs, other runs, and the images that they need."""

import csv
import json
import types

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import input_pipeline
from input_pipeline.sources.base import PairSource
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation import baselines, evaluate
from ultrabm_jax.evaluation.folder_method import find_files
from ultrabm_jax.evaluation.written_images import folder_name
from ultrabm_jax.models.task import Task


class Source(PairSource):
    """Three pairs at scale 2, of which the reference is four times as bright."""

    scale = 2
    crop = arrays = None

    def __len__(self):
        return 3

    def name(self, i):
        return f"scene/{i}"

    def size(self, i):
        return 12, 16

    def pair(self, i):
        low = np.random.default_rng(i).integers(0, 60, (12, 16, 3), np.uint8)
        return low, np.repeat(np.repeat(low * 4, 2, 0), 2, 1)


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setattr(input_pipeline, "open_source", lambda data, *, scale, split, left_out: Source())
    config = default_config()
    config.eval.update({"protocols": ("psnr_rgb", "rmse"), "speed": False})
    return config


def write_folder(folder, pattern="{}.png", change=0):
    for i in range(3):
        path = folder / "scene" / pattern.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(Source().pair(i)[1] + np.uint8(change)).save(path)


def test_folders_of_other_programs_are_measured_like_any_method(config, tmp_path):
    write_folder(tmp_path / "exact")
    write_folder(tmp_path / "named", "out_{}_net.png", change=2)
    config.eval.baselines = ("bicubic", f"folder:exact={tmp_path}/exact", f"folder:Net={tmp_path}/named/out_*_net")
    summary = evaluate(config, None, tmp_path / "out")
    assert list(summary["baselines"]) == ["exact", "Net"]
    assert summary["baselines"]["exact"] == {"psnr_rgb": "inf", "rmse": 0}
    assert summary["baselines"]["Net"]["rmse"] == pytest.approx(2 / 255)
    difference = summary["differences"]["Net"]["rmse"]
    assert difference["mean"] == pytest.approx(summary["mean"]["rmse"] - 2 / 255)
    assert difference["ci95"][0] > 0
    assert summary["intervals"]["Net"]["rmse"] == pytest.approx([2 / 255, 2 / 255])
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "bicubic minus Net" in page


def test_tables_are_written_in_three_formats(config, tmp_path):
    write_folder(tmp_path / "net", change=2)
    config.eval.baselines = ("bicubic", f"folder:my_net={tmp_path}/net")
    summary = evaluate(config, None, tmp_path / "out")
    assert "| my_net | **42.11" in (tmp_path / "out" / "table.md").read_text()
    assert r"my\_net & \textbf{42.11" in (tmp_path / "out" / "table.tex").read_text()
    with open(tmp_path / "out" / "table.csv", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert float(rows["bicubic"]["psnr_rgb"]) == summary["mean"]["psnr_rgb"]


def test_all_images_are_written_and_can_be_read_back_as_a_folder(config, tmp_path):
    config.eval.update({"baselines": ("gamma=>bicubic", "bicubic"), "images": "all"})
    first = evaluate(config, None, tmp_path / "out")
    images = tmp_path / "out" / "images"
    assert sorted(path.name for path in images.iterdir()) == ["bicubic", "gamma_bicubic", "input", "reference"]
    for i in range(3):
        low, reference = Source().pair(i)
        np.testing.assert_array_equal(np.asarray(Image.open(images / "input" / "scene" / f"{i}.png")), low)
        np.testing.assert_array_equal(np.asarray(Image.open(images / "reference" / "scene" / f"{i}.png")), reference)
    config.eval.update({"baselines": (f"folder:again={images}/gamma_bicubic",), "images": "model"})
    assert evaluate(config, None, tmp_path / "second")["mean"] == first["mean"]


def test_missing_images_are_named_before_anything_is_measured(config, tmp_path):
    write_folder(tmp_path / "net", "{}_net.png")
    config.eval.baselines = (f"folder:Net={tmp_path}/net",)
    with pytest.raises(UserError, match=r"3 of 3 images are missing: scene/0, .* \(did you mean scene/0_net"):
        evaluate(config, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(find_files(f"{tmp_path}/net/*_net", ["scene/0", "scene/2"])) == 2


def test_an_image_of_another_size_stops_with_its_name(config, tmp_path):
    write_folder(tmp_path / "net")
    Image.new("RGB", (16, 12)).save(tmp_path / "net" / "scene" / "1.png")
    config.eval.baselines = (f"folder:Net={tmp_path}/net",)
    with pytest.raises(UserError, match=r"scene/1\.png has 16x12 pixels, but the comparison needs 32x24"):
        evaluate(config, None, tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("folder:Net",), r"folder:NAME=PATH"),
        (("folder:=x",), r"folder:NAME=PATH"),
        (("folder:Net=nowhere",), "nowhere is not a folder"),
        (("bicubic", "bicubic"), "already a method bicubic"),
    ],
)
def test_wrong_entries(config, tmp_path, names, message):
    config.eval.baselines = names
    with pytest.raises(UserError, match=message):
        evaluate(config, None, tmp_path / "out")


def test_wrong_value_and_colliding_folders(config, tmp_path):
    config.eval.images = "some"
    with pytest.raises(UserError, match=r"config\.eval\.images is model or all, not 'some'"):
        evaluate(config, None, tmp_path / "out")
    write_folder(tmp_path / "net")
    config.eval.update({"images": "all", "baselines": ("bicubic", f"folder:input={tmp_path}/net")})
    with pytest.raises(UserError, match="several methods would be written to images/input"):
        evaluate(config, None, tmp_path / "out")


def test_folder_names():
    assert folder_name("sci=>runs/x2 new") == "sci_runs_x2_new"
    assert folder_name("lolisrflow_t0.7") == "lolisrflow_t0.7"
    assert folder_name("../..") == "_"


class Nearest(nn.Module):
    scale: int = 2

    @nn.compact
    def __call__(self, low):
        return {"restored": jnp.repeat(jnp.repeat(low, 2, 1), 2, 2)}


def test_another_run_and_its_variants_are_methods(config, tmp_path, monkeypatch):
    task = Task(Nearest())
    task.variants = lambda options: {
        "": lambda batch: {"low": batch["low"]},
        "_t0.7": lambda batch: {"low": batch["low"] / 2},
    }
    monkeypatch.setattr(
        baselines, "load_trained", lambda folder: types.SimpleNamespace(task=task, variables={}, config=config)
    )
    config.eval.baselines = ("bicubic", str(tmp_path))
    summary = evaluate(config, None, tmp_path / "out")
    assert list(summary["baselines"]) == [str(tmp_path), f"{tmp_path}_t0.7"]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == summary
