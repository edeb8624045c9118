"""Pairs made by the DeG of a tiny run, and by one whose degradation is -0.9 times the low image."""

import csv
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import lw_drgn_lol_small
from input_pipeline import open_source
from ultrabm_jax.errors import UserError
from ultrabm_jax.inference import runs
from ultrabm_jax.methods import create_method
from ultrabm_jax.models.drgn.degradation import DEGRADATION_FORMS
from ultrabm_jax.tools import degrade
from ultrabm_jax.tools.contact_sheet import CELL, GAP, TEXT
from ultrabm_jax.tools.degrade import MARGIN, darken_photo, fit
from ultrabm_jax.tools.low_images import centre_crop, to_network_input
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.workdir import write_config

ROOT = Path(__file__).resolve().parents[2]


class Model(nn.Module):
    form = DEGRADATION_FORMS["additive"]

    def degrade(self, low):
        return -0.9 * low


@pytest.fixture
def workdir(monkeypatch, data, tmp_path, image):
    """Makes `load_trained` return a DRGN that was trained on two pairs of 10x12 pixels."""
    for k in range(2):
        for kind in ("low", "high"):
            image(tmp_path / "own" / kind / f"own{k}.png", 10, 12, seed=k)
    data.root = str(tmp_path / "own")
    synthesis = SimpleNamespace(noise=(0.0, 0.0))
    config = SimpleNamespace(data=data, model=SimpleNamespace(name="drgn", scale=1), synthesis=synthesis)
    run = SimpleNamespace(config=config, model=Model(), variables={"params": {"deg": {}, "reg": {}}}, step=7)
    asked = []
    monkeypatch.setattr(runs, "load_trained", lambda *which: asked.append(which) or run)
    return SimpleNamespace(name="W", run=run, asked=asked)


@pytest.fixture(scope="module")
def own_run(tmp_path_factory):
    """(workdir, method, parameters) of an LW-DRGN with random parameters whose data are two pairs of 8x9 pixels."""
    folder, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    config = lw_drgn_lol_small.get_config()
    config.model.update({"width": 4, "groups": 1, "depth": 1, "reduction": 2})
    config.update_from_flattened_dict({"discriminator.width": 1, "data.dataset": "paired", "data.root": str(folder)})
    config.train.ema_decay = 0.0
    for kind in ("low", "high"):
        (folder / kind).mkdir()
        for k in range(2):
            Image.fromarray(rng.integers(0, 80, (8, 9, 3), np.uint8)).save(folder / kind / f"own{k}.png")
    method = create_method(config)
    shapes = jax.eval_shape(method.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    state = jax.tree.map(lambda x: jnp.asarray(rng.normal(0, 0.3, x.shape), x.dtype), shapes).replace(frozen={})
    checkpoints = Checkpoints(folder, metric=config.eval.best)
    checkpoints.save(state)
    checkpoints.close()
    write_config(folder, config)
    return folder, method, state.params


def test_the_degradation_comes_from_the_runs_own_deg(own_run, tmp_path, image):
    folder, method, params = own_run
    image(tmp_path / "photo.png", 8, 9, seed=10)
    flags = ["--workdir", str(folder), str(tmp_path / "photo.png"), "--output", str(tmp_path / "out")]
    assert degrade.main([*flags, "--strength", "0.5"]) == 0
    (row,) = csv.DictReader((tmp_path / "out" / "degradations.csv").open())
    low_image = pixels(folder / "low" / f"{row['low_image']}.png").astype(np.float32) / 255
    wide = np.pad(low_image, [(MARGIN, MARGIN)] * 2 + [(0, 0)], mode="symmetric")
    i_d = jax.jit(method._degrade)(params["deg"], wide[None])[0, MARGIN:-MARGIN, MARGIN:-MARGIN]
    expected = 255 * np.clip(pixels(tmp_path / "photo.png") / 255 + 0.5 * np.asarray(i_d), 0, 1)
    assert np.abs(pixels(tmp_path / "out" / "low" / "photo.png") - expected).max() < 0.51
    assert np.abs(i_d).mean() > 0.05


@pytest.fixture
def photos(tmp_path, image):
    image(tmp_path / "photos" / "a.png", 8, 9, seed=10)
    image(tmp_path / "photos" / "trip" / "b.png", 14, 12, seed=11)
    return tmp_path / "photos"


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def make(photos, output, *flags):
    return degrade.main([str(photos), "--workdir", "W", "--output", str(output), *flags])


def test_a_photo_gets_a_real_images_degradation(workdir, photos, tmp_path):
    assert make(photos, tmp_path / "out") == 0
    assert workdir.asked == [("W", "latest")]
    low_images = dict(row[:2] for row in csv.reader((tmp_path / "out" / "degradations.csv").open()))
    photo, low_image = pixels(photos / "a.png") / 255, pixels(tmp_path / "own" / "low" / f"{low_images['a']}.png") / 255
    low = pixels(tmp_path / "out" / "low" / "a.png")
    windows = [
        np.rint(np.clip(photo - 0.9 * low_image[top : top + 8, left : left + 9], 0, 1) * 255)
        for top in range(3)
        for left in range(4)
    ]
    assert any(np.abs(low - window).max() <= 1 for window in windows)
    np.testing.assert_array_equal(pixels(tmp_path / "out" / "high" / "a.png"), pixels(photos / "a.png"))
    assert (tmp_path / "out" / "low" / "trip__b.png").exists()


def test_the_result_is_a_paired_folder_that_training_reads(workdir, photos, tmp_path, data):
    assert make(photos, tmp_path / "out", "--strength", "0.5", "1", "--versions", "2") == 0
    data.root = str(tmp_path / "out")
    source = open_source(data, scale=1)
    names = {source.name(i) for i in range(len(source))}
    assert names == {f"{p}_v{v}_s{s}" for p in ("a", "trip__b") for v in (1, 2) for s in ("0.5", "1")}
    assert source.pair(0)[0].shape == source.pair(0)[1].shape


def test_noise_of_the_config_is_added_again_for_each_version(workdir, photos, tmp_path):
    def lows(name):
        assert make(photos / "a.png", tmp_path / name, "--strength", "0", "--versions", "2") == 0
        return [pixels(tmp_path / name / "low" / f"a_v{k}.png").astype(int) for k in (1, 2)]

    clean, photo = lows("clean"), pixels(photos / "a.png").astype(int)
    np.testing.assert_array_equal(clean, [photo, photo])
    workdir.run.config.synthesis.noise = (0.02, 0.02)
    noisy, again = lows("noisy"), lows("again")
    np.testing.assert_array_equal(noisy, again)
    inside = (photo > 30) & (photo < 225)
    assert np.std((noisy[0] - photo)[inside]) / 255 == pytest.approx(0.02, rel=0.25)
    assert np.abs(noisy[0] - noisy[1]).max() > 2


def test_strength_scales_the_degradation_of_one_low_image(workdir, photos, tmp_path):
    assert make(photos, tmp_path / "out", "--strength", "0", "0.5", "1") == 0
    low = {s: pixels(tmp_path / "out" / "low" / f"a_s{s}.png").astype(int) for s in ("0", "0.5", "1")}
    np.testing.assert_array_equal(low["0"], pixels(photos / "a.png"))
    assert (low["0"] >= low["0.5"]).all()
    assert (low["0.5"] >= low["1"]).all()
    inside = low["1"] > 0
    assert np.abs((low["0"] - low["0.5"]) * 2 - (low["0"] - low["1"]))[inside].max() <= 2
    rows = list(csv.DictReader((tmp_path / "out" / "degradations.csv").open()))
    assert len({row["low_image"] for row in rows if row["name"].startswith("a_")}) == 1


def test_versions_and_seeds_draw_other_windows_or_low_images_reproducibly(workdir, photos, tmp_path):
    for folder, flags in (("one", ()), ("again", ()), ("other", ("--seed", "5"))):
        assert make(photos, tmp_path / folder, "--versions", "4", *flags) == 0
    made = {folder: [pixels(tmp_path / folder / "low" / f"a_v{v}.png") for v in range(1, 5)]
            for folder in ("one", "again", "other")}  # fmt: skip
    for first, second in zip(made["one"], made["again"], strict=True):
        np.testing.assert_array_equal(first, second)
    assert len({low.tobytes() for low in made["one"]}) > 1
    assert any((a != b).any() for a, b in zip(made["one"], made["other"], strict=True))


def test_low_images_of_a_folder(workdir, photos, tmp_path, image):
    workdir.run.config.data.root = "/nowhere"
    with pytest.raises(UserError, match="name others with --low-images"):
        make(photos, tmp_path / "out")
    image(tmp_path / "night" / "street.png", 20, 20)
    assert make(photos, tmp_path / "out", "--low-images", str(tmp_path / "night")) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "degradations.csv").open()))
    assert {row["low_image"] for row in rows} == {"street"}


def test_the_old_flag_and_the_old_command_work_with_a_warning(workdir, photos, tmp_path, image, capsys):
    image(tmp_path / "night" / "street.png", 20, 20)
    assert make(photos, tmp_path / "out", "--donors", str(tmp_path / "night")) == 0
    assert "warning: --donors is deprecated; use --low-images" in capsys.readouterr().err
    rows = list(csv.DictReader((tmp_path / "out" / "degradations.csv").open()))
    assert {row["low_image"] for row in rows} == {"street"}
    command = [sys.executable, "-m", "input_pipeline.degrade", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m ultrabm_jax.tools.degrade")
    assert done.stderr == (
        "warning: python -m input_pipeline.degrade is deprecated; use python -m ultrabm_jax.tools.degrade\n"
    )


def test_a_run_of_another_model_is_refused(workdir, photos, tmp_path):
    workdir.run.variables["params"] = {"unet": {}}
    workdir.run.config.model.name = "ultrabm"
    with pytest.raises(UserError, match="W holds a run of ultrabm, which has no degradation generator"):
        make(photos, tmp_path / "out")


def test_an_unreadable_photo_is_reported_and_the_others_are_made(workdir, photos, tmp_path, capsys):
    (photos / "bad.png").write_text("nothing")
    assert make(photos, tmp_path / "out") == 1
    assert sorted(path.name for path in (tmp_path / "out" / "low").iterdir()) == ["a.png", "trip__b.png"]
    assert "error: " in (err := capsys.readouterr().err)
    assert "bad.png" in err


def test_inputs_are_not_overwritten_and_names_do_not_collide(workdir, photos, tmp_path, image):
    image(tmp_path / "out" / "high" / "a.png", 8, 8)
    with pytest.raises(UserError, match="would replace an input"):
        make(tmp_path / "out" / "high", tmp_path / "out")
    image(photos / "trip__b.png", 8, 8)
    with pytest.raises(UserError, match=r"would both become trip__b\.png"):
        make(photos, tmp_path / "other")


def test_later_calls_add_to_the_folder_and_the_table(workdir, photos, tmp_path):
    for inputs in (photos / "trip", photos / "a.png", photos / "a.png"):
        assert make(inputs, tmp_path / "out") == 0
    assert [row["name"] for row in csv.DictReader((tmp_path / "out" / "degradations.csv").open())] == ["b", "a"]
    assert sorted(path.name for path in (tmp_path / "out" / "high").iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("flags", [("--versions", "0"), ("--strength", "-1"), ("--strength", "1", "nan")])
def test_impossible_numbers_are_refused(photos, tmp_path, flags):
    with pytest.raises(UserError, match="--versions is at least 1, and --strength a number of at least 0"):
        make(photos, tmp_path / "out", *flags)


def test_the_contact_sheet_has_a_row_for_each_photo(workdir, photos, tmp_path):
    assert make(photos, tmp_path / "out", "--strength", "0.5", "1") == 0
    sheet = pixels(tmp_path / "out" / "contact_sheet.png")
    rows, columns = 2, 4  # photo, low image, two strengths
    assert sheet.shape == (rows * (CELL[1] + TEXT + GAP) + GAP, columns * (CELL[0] + GAP) + GAP, 3)


@pytest.mark.parametrize("size", [(3, 4), (9, 11), (5, 20)])
def test_a_degradation_is_cropped_or_reflected_to_the_photos_size(size):
    degradation = np.random.default_rng(0).normal(size=(6, 7, 3)).astype(np.float32)
    fitted = fit(degradation, size, np.random.default_rng(1))
    assert fitted.shape == (*size, 3)
    assert set(np.unique(fitted)) <= set(np.unique(degradation))
    if size[0] > 6 and size[1] > 7:
        np.testing.assert_array_equal(fitted[:6, :7], degradation)
        np.testing.assert_array_equal(fitted[6], np.pad(degradation[5], ((0, 4), (0, 0)), mode="symmetric"))


def test_large_images_are_centre_cropped():
    image = np.arange(5 * 8 * 3, dtype=np.uint8).reshape(5, 8, 3)
    np.testing.assert_array_equal(centre_crop(image, 4), image[:4, 2:6])
    np.testing.assert_array_equal(centre_crop(image, 100), image)


def test_sixteen_bits_become_eight():
    np.testing.assert_array_equal(to_network_input(np.array([[[0, 257, 65535]]], np.uint16)), [[[0, 1, 255]]])


@pytest.mark.parametrize(
    ("form", "degradation", "noise", "expected"),
    [
        ("additive", -0.4, 0.0, [0, 0, 153]),
        ("multiplicative", np.log(0.2), 0.0, [0, 20, 51]),
        ("exposure", np.log(0.2), np.array([0.04, -0.04, -1]), [10, 10, 0]),
    ],
)
def test_low_image_is_clipped_and_quantised(form, degradation, noise, expected):
    photo = np.array([[[0, 100, 255]]], np.uint8)
    degradation = np.full((1, 1, 3), degradation, np.float32)
    low = darken_photo(photo, degradation, form=DEGRADATION_FORMS[form], noise=noise)
    np.testing.assert_array_equal(low, [[expected]])
