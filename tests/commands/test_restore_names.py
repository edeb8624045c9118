"""restore.py without flags, and with the names of models."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax import Restorer, cli, load_pretrained
from ultrabm_jax.commands import restore
from ultrabm_jax.errors import UserError
from ultrabm_jax.extras import missing_extra
from ultrabm_jax.image import read_image, write_image
from ultrabm_jax.image.tone_mapping import gamma
from ultrabm_jax.image.write import quantise
from ultrabm_jax.inference import named
from ultrabm_jax.pretrained import DEFAULT_MODEL, ENLARGING_MODELS
from ultrabm_jax.raw.cfa import BAYER
from ultrabm_jax.raw.dng import write_dng

PIXELS = np.random.default_rng(0).integers(0, 60, (12, 10, 3), np.uint8)


@pytest.fixture
def models(shared, monkeypatch):
    """SCI stands for the default model; released weights are those of shared/assets. Collects the names loaded."""
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    loaded, load_named = [], named.load_named

    def load(name):
        loaded.append(name)
        return load_named("sci" if name == DEFAULT_MODEL else name)

    monkeypatch.setattr(named, "load_named", load)
    return loaded


@pytest.fixture
def run(capsys):
    """`run(*arguments)`: the status and what is printed to standard error."""

    def call(*arguments):
        capsys.readouterr()
        status = cli.run(lambda: restore.main([*map(str, arguments)]))
        return status, capsys.readouterr().err

    return call


def test_an_image_alone_is_restored_beside_itself(models, run, tmp_path):
    write_image(tmp_path / "night.png", PIXELS)
    before = (tmp_path / "night.png").read_bytes()
    status, printed = run(tmp_path / "night.png")
    assert status == 0
    assert f"1 photo: model {DEFAULT_MODEL}" in printed
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["night.png", "night_restored.png"]
    assert (tmp_path / "night.png").read_bytes() == before
    status, printed = run(tmp_path)  # the output is no input, and is kept
    assert status == 0
    assert "0 restored, 0 failed, 1 kept" in printed
    (tmp_path / "night_restored.png").write_bytes(before)  # a file of another origin
    status, printed = run(tmp_path / "night.png")
    assert status == 1
    assert "--overwrite replaces it" in printed
    assert (tmp_path / "night_restored.png").read_bytes() == before


def test_a_scale_alone_names_the_default_model_of_that_scale(models, run, tmp_path):
    write_image(tmp_path / "a.png", PIXELS)
    status, printed = run(tmp_path / "a.png", "--scale", "2")
    assert (status, models) == (0, [ENLARGING_MODELS[2]]), printed
    assert f"1 photo: model {ENLARGING_MODELS[2]}" in printed
    assert read_image(tmp_path / "a_restored.png").rgb.shape == (2 * PIXELS.shape[0], 2 * PIXELS.shape[1], 3)
    status, printed = run(tmp_path / "a.png", "--scale", "2", "--model", ENLARGING_MODELS[2])
    assert "0 restored, 0 failed, 1 kept" in printed  # the same result
    status, printed = run(tmp_path / "a.png", "--scale", "1", "--overwrite")
    assert (status, models[2:]) == (0, [DEFAULT_MODEL])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--scale", "3"], "--scale 3: photos are restored at scale 1 or 2; another scale needs --model NETWORK"),
        (
            ["--scale", "2", "--model", "gamma"],
            "--scale 2: gamma has scale 1; without --model, photos are enlarged",
        ),
        (["--scale", "2", "--model", "sci"], "--scale 2: sci has scale 1"),
        (["--scale", "4", "--model", "zero_dce"], "--scale 4: zero_dce has scale 1"),
    ],
)
def test_a_scale_that_the_model_does_not_have_is_an_error(models, run, tmp_path, given, said):
    write_image(tmp_path / "a.png", PIXELS)
    status, printed = run(tmp_path / "a.png", *given)
    assert status == 1
    assert f"error: {said}" in printed
    assert not (tmp_path / "a_restored.png").exists()


def test_camera_raw_files_keep_their_size_beside_enlarged_photos(models, run, tmp_path):
    pytest.importorskip("rawpy")
    write_image(tmp_path / "a.png", PIXELS)
    samples = np.random.default_rng(0).integers(512, 900, (64, 64)).astype(np.uint16)
    write_dng(tmp_path / "b.dng", samples, pattern=BAYER, black=512, white=16383)
    status, printed = run(tmp_path, "--scale", "2")
    assert (status, models) == (0, [ENLARGING_MODELS[2], "red"]), printed
    assert "--scale 2 is for photos; camera raw files keep their size" in printed
    status, printed = run(tmp_path / "b.dng", "--scale", "2", "--overwrite")
    assert status == 1
    assert "error: --scale 2 is for photos; red does not enlarge camera raw files" in printed


def test_photos_and_camera_raw_files_go_to_their_own_models(models, run, tmp_path):
    pytest.importorskip("rawpy")
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", PIXELS)
    write_image(tmp_path / "in" / "b.png", PIXELS)
    samples = np.random.default_rng(0).integers(512, 900, (64, 64)).astype(np.uint16)
    write_dng(tmp_path / "in" / "a.dng", samples, pattern=BAYER, black=512, white=16383)
    status, printed = run(tmp_path / "in", "--output", tmp_path / "out")
    assert (status, models) == (0, [DEFAULT_MODEL, "red"]), printed
    assert printed.count(f"2 photos: model {DEFAULT_MODEL}") == 1
    assert printed.count("1 camera raw file: model red") == 1
    assert printed.count("patent pending") == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a_dng.png", "a_png.png", "b.png"]


def test_photos_are_restored_if_weights_for_raw_files_are_missing(models, run, tmp_path, monkeypatch):
    load_named = named.load_named
    sci = load_named("sci")
    monkeypatch.setenv("ULTRABM_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(named, "load_named", lambda name: load_named(name) if name == "red" else sci)
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", PIXELS)
    (tmp_path / "in" / "b.arw").write_bytes(b"no raw file")
    status, printed = run(tmp_path / "in", "--output", tmp_path / "out")
    assert status == 1
    assert "error: 1 camera raw file not restored: red needs the file red_sony_released.pth (sha256 e7a4f76c" in printed
    assert "ULTRABM_OFFLINE is set" in printed
    assert (tmp_path / "out" / "a.png").exists()
    assert printed.splitlines()[-1] == "2 files in total: 1 restored or kept, 1 failed"
    status, printed = run(tmp_path / "in" / "b.arw")
    assert status == 1
    assert printed.count("error: ") == 1


@pytest.mark.parametrize("model", [(), ("--model", "red")])
def test_a_missing_raw_decoder_is_reported_before_weights_are_downloaded(models, run, tmp_path, monkeypatch, model):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    (tmp_path / "b.arw").write_bytes(b"no raw file")
    status, printed = run(tmp_path / "b.arw", *model)
    assert (status, models) == (1, [])
    assert printed.splitlines()[-1] == f"error: {missing_extra('rawpy', 'camera raw files')}"


def test_the_default_model_is_named_if_it_is_missing(run, tmp_path, monkeypatch):
    monkeypatch.setattr("ultrabm_jax.pretrained.FOLDER", tmp_path)
    write_image(tmp_path / "a.png", PIXELS)
    status, printed = run(tmp_path / "a.png")
    assert status == 1
    assert f"does not contain the default model {DEFAULT_MODEL}; choose one of --list-models" in printed


@pytest.mark.parametrize("name", ["zero_dce", "sci", "sci_easy", "sci_difficult"])
def test_released_models_need_no_weights_flag(models, run, tmp_path, name):
    write_image(tmp_path / "a.png", PIXELS)
    status, printed = run("--model", name, tmp_path / "a.png")
    assert status == 0
    assert printed.count("licence: ") == 1
    expected = load_pretrained(name)(PIXELS)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a_restored.png")), expected)


def test_formulas_have_names(run, tmp_path, monkeypatch):
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    write_image(tmp_path / "a.png", PIXELS)
    for name in named.FORMULAS:
        assert run("--model", name, tmp_path / "a.png", "--output", tmp_path / f"{name}.png")[0] == 0
    restored = quantise(read_image(tmp_path / "gamma.png").rgb, 8)
    np.testing.assert_array_equal(restored, quantise(gamma(PIXELS.astype(np.float32) / 255), 8))
    with pytest.raises(UserError, match=r"gamma has no weights: call ultrabm_jax\.image\.tone_mapping\.gamma"):
        load_pretrained("gamma")


def test_unknown_names_get_a_hint(run, tmp_path):
    write_image(tmp_path / "a.png", PIXELS)
    status, printed = run("--model", "zero_dec", tmp_path / "a.png")
    assert status == 1
    assert "unknown model 'zero_dec'; did you mean zero_dce? known: " in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name an image, a camera raw file or a folder"),
        (("a.png", "--weights", "w.pth"), "--weights needs --model"),
        (("a.png", "--temperature", "0.5"), "need a --model of a distribution"),
    ],
)
def test_flags_that_lack_something_give_one_line(run, arguments, message):
    status, printed = run(*arguments)
    assert (status, printed.count("\n")) == (1, 1)
    assert message in printed


def test_raw_files_beside_photos_are_named_if_a_photo_model_is_chosen(models, run, tmp_path):
    (tmp_path / "b.arw").write_bytes(b"raw")
    status, printed = run("--model", "gamma", tmp_path)
    assert status == 1
    assert (
        "no images in this folder (skipped 1 file that is not an image: .arw 1; without --model, camera raw" in printed
    )


def test_the_list_has_all_names(capsys, shared, monkeypatch):
    monkeypatch.setenv("ULTRABM_ASSETS", str(shared / "assets"))
    assert restore.main(["--list-models"]) == 0
    listed = capsys.readouterr().out
    for name in (*named.RELEASED, *named.FORMULAS):
        assert name in listed
    assert "red                      x1  camera raw files, 3.15 MB (default for camera raw files)" in listed
    assert "on this machine" in listed


def test_a_training_run_is_loaded_by_its_folder(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        load_pretrained(tmp_path)


def test_the_public_restorer_is_that_of_the_commands():
    from ultrabm_jax.inference.restorer import Restorer as inner

    assert Restorer is inner
