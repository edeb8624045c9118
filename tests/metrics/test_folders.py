"""`python -m ultrabm_jax.metrics`: pairing, values, what is missing, and errors in one line."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.cli import run
from ultrabm_jax.metrics import compute
from ultrabm_jax.metrics.__main__ import main

RNG = np.random.default_rng(0)
RESTORED, REFERENCE = RNG.integers(0, 256, (2, 3, 24, 32, 3), dtype=np.uint8)


@pytest.fixture
def folders(tmp_path):
    for kind, images in (("restored", RESTORED), ("reference", REFERENCE)):
        (tmp_path / kind / "deep").mkdir(parents=True)
        for name, image in zip(("a", "b", "deep/c"), images, strict=True):
            extension = "bmp" if kind == "restored" else "png"  # pairs have one name, not one format
            Image.fromarray(image).save(tmp_path / kind / f"{name}.{extension}")
    return tmp_path


def call(*arguments) -> int:
    return run(lambda: main([str(argument) for argument in arguments]))


def test_mean_and_deviation_over_images(folders, capsys):
    status = call(
        folders / "restored", folders / "reference", "--protocols", "psnr_rgb", "rmse_crop2", "--csv", folders / "o.csv"
    )
    out = capsys.readouterr().out.splitlines()
    expected = {name: np.asarray(compute(name, RESTORED, REFERENCE)) for name in ("psnr_rgb", "rmse_crop2")}
    assert status == 0
    assert out[0].split() == ["3", "images", "mean", "std"]
    for line, (name, values) in zip(out[1:], expected.items(), strict=True):
        assert line.split()[:3] == [name, f"{values.mean():.4f}", f"{values.std():.4f}"]
    assert out[1].endswith("higher is better")
    assert out[2].endswith("lower is better")
    rows = list(csv.DictReader((folders / "o.csv").open()))
    assert [row["image"] for row in rows] == ["a", "b", "deep/c"]
    np.testing.assert_allclose([float(row["psnr_rgb"]) for row in rows], expected["psnr_rgb"], rtol=1e-6)


def test_what_is_missing_is_named(folders, capsys):
    (folders / "restored" / "b.bmp").unlink()
    (folders / "reference" / "deep" / "c.png").unlink()
    assert call(folders / "restored", folders / "reference", "--protocols", "psnr_rgb") == 0
    captured = capsys.readouterr()
    notes = [line for line in captured.err.splitlines() if line.startswith("note")]
    assert notes == [
        "note: 1 left out, not in the restored folder: b",
        "note: 1 left out, not in the reference folder: deep/c",
    ]
    assert captured.out.startswith("1 images")


def test_identical_images(folders, capsys):
    assert call(folders / "reference", folders / "reference", "--protocols", "psnr_rgb") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["psnr_rgb", "inf", "nan"]


def test_a_missing_asset_is_told_and_the_rest_is_measured(folders, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("ULTRABM_ASSETS", raising=False)
    arguments = [folders / "restored", folders / "reference", "--protocols", "brisque", "psnr_rgb"]
    assert call(*arguments, "--csv", folders / "o.csv") == 0
    _, brisque, psnr = capsys.readouterr().out.splitlines()
    assert brisque.startswith("brisque   not available: brisque_model needs the file brisque_allmodel")
    assert psnr.startswith("psnr_rgb")
    assert (folders / "o.csv").read_text().startswith("image,psnr_rgb\n")


def test_without_references(folders, capsys, shared):
    arguments = [folders / "restored", "--assets", shared / "assets", "--protocols", "brisque"]
    assert call(*arguments) == 0
    values = compute("brisque", RESTORED, assets=shared / "assets")
    assert capsys.readouterr().out.splitlines()[1].split()[1] == f"{values.mean():.4f}"


def test_default_protocols_follow_the_folders(folders, capsys):
    assert call(folders / "restored") == 0
    assert "NIQE needs at least 96 pixels" in capsys.readouterr().out
    assert call(folders / "restored", "--low", folders / "reference") == 0
    assert "LOE needs at least 50 pixels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("restored", "nowhere"), "nowhere is not a folder"),
        (("restored", "empty"), "no images in this folder"),
        (("restored", "reference", "--protocols", "psnr"), "unknown metric 'psnr'; known: psnr_rgb"),
        (("restored", "--protocols", "psnr_rgb"), "psnr_rgb compares with the reference images: give REFERENCE_DIR"),
        (("restored", "reference", "--protocols", "loe"), "loe compares with the low images: give --low LOW_DIR"),
        (("restored", "reference/deep"), "no image is in every folder"),
        (("twice", "reference"), "are both the image a"),
    ],
)
def test_errors_are_one_line(folders, capsys, arguments, message):
    (folders / "empty").mkdir()
    (folders / "twice").mkdir()
    for extension in ("png", "bmp"):
        Image.fromarray(RESTORED[0]).save(folders / "twice" / f"a.{extension}")
    names = {"restored", "reference", "reference/deep", "empty", "nowhere", "twice"}
    assert call(*(folders / a if a in names else a for a in arguments)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


def test_images_of_another_size(folders, capsys):
    Image.fromarray(RESTORED[0][:-1]).save(folders / "restored" / "a.bmp")
    assert call(folders / "restored", folders / "reference", "--protocols", "psnr_rgb") == 0
    assert "not available: psnr_rgb wants two images of one size" in capsys.readouterr().out
