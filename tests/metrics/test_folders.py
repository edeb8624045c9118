"""`python -m ultrabm_jax.metrics`: pairing, values, incomplete folders, and errors in one line."""

from __future__ import annotations

import csv
import errno
import json
import os

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
            extension = "bmp" if kind == "restored" else "png"  # pairs share a name, not a format
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
    assert [row["image"] for row in rows] == ["a", "b", "deep/c", "mean"]
    np.testing.assert_allclose([float(row["psnr_rgb"]) for row in rows[:3]], expected["psnr_rgb"], rtol=1e-6)
    assert float(rows[3]["psnr_rgb"]) == pytest.approx(expected["psnr_rgb"].mean(), rel=1e-6)


def test_missing_images_are_an_error_unless_allowed(folders, capsys):
    (folders / "restored" / "b.bmp").unlink()
    (folders / "reference" / "deep" / "c.png").unlink()
    arguments = [folders / "restored", folders / "reference", "--protocols", "psnr_rgb"]
    assert call(*arguments) == 1
    captured = capsys.readouterr()
    missing = ["1 not in the restored folder: b", "1 not in the reference folder: deep/c"]
    assert captured.out == ""
    assert captured.err == f"error: {'; '.join(missing)}; --allow-missing measures the images that every folder has\n"
    assert call(*arguments, "--allow-missing") == 0
    captured = capsys.readouterr()
    assert [line for line in captured.err.splitlines() if line.startswith("note")] == [f"note: {m}" for m in missing]
    assert captured.out.startswith("1 image ")


def test_a_report_that_cannot_be_written_is_an_error_before_the_first_image(folders, capsys, monkeypatch):
    monkeypatch.setattr("ultrabm_jax.metrics.__main__.measure", lambda *_, **__: pytest.fail("measured"))
    (folders / "file").write_bytes(b"")
    for flag, path in (("--csv", folders / "file" / "o.csv"), ("--json", folders)):
        assert call(folders / "restored", folders / "reference", flag, path) == 1
        captured = capsys.readouterr()
        assert (captured.out, captured.err.count("\n"), captured.err[:7]) == ("", 1, "error: ")


@pytest.mark.parametrize("flag", ["--csv", "--json"])
def test_a_full_disk_is_one_line_after_the_table(folders, capsys, monkeypatch, flag):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("ultrabm_jax.image.write.os.replace", fail)
    arguments = [folders / "restored", folders / "reference", "--protocols", "psnr_rgb", flag, folders / "o"]
    assert call(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("3 images")
    assert captured.err.splitlines()[-1] == f"error: the output {folders}/o cannot be written: No space left on device"
    assert not list(folders.glob("*o")) + list(folders.glob(".*"))


def test_a_report_is_written_through_links_and_devices(folders, capsys):
    arguments = [folders / "restored", folders / "reference", "--protocols", "psnr_rgb", "--csv"]
    (folders / "link").symlink_to(folders / "target")
    for _ in range(2):
        assert call(*arguments, folders / "link") == 0
        assert (folders / "link").is_symlink()
        assert (folders / "target").read_text().startswith("image,psnr_rgb\na,")
    capsys.readouterr()
    if os.path.exists("/dev/full"):
        assert call(*arguments, "/dev/full") == 1
        assert "error: the output /dev/full cannot be written: No space left on device\n" in capsys.readouterr().err


def test_names_with_a_suffix_get_a_suggestion(folders, capsys):
    for name in ("a", "b", "deep/c"):
        (folders / "restored" / f"{name}.bmp").rename(folders / "restored" / f"{name}_out.bmp")
    assert call(folders / "restored", folders / "reference") == 1
    error = capsys.readouterr().err
    assert "error: no image is in every folder; 3 not in the restored folder: a, b, deep/c; " in error
    assert "(did you mean a_out for a? The name ends in '_out')" in error


def test_names_in_another_case_get_a_suggestion(folders, capsys):
    for name in ("a", "b", "deep/c"):
        (folders / "restored" / f"{name}.bmp").rename(
            folders / "restored" / f"{name.upper()}.bmp".replace("DEEP", "deep")
        )
    assert call(folders / "restored", folders / "reference") == 1
    assert "(did you mean a for A? The names differ in case)" in capsys.readouterr().err


def test_notes_of_the_reader_are_counted(folders, capsys):
    """Each kind is one line: a profile that is not applied, frames that are left out."""
    profile = bytes(16) + b"RGB XYZ " + bytes(104)
    for name, image in zip(("a", "b"), RESTORED, strict=False):
        Image.fromarray(image).save(folders / "restored" / f"{name}.png", icc_profile=profile)
        (folders / "restored" / f"{name}.bmp").unlink()
    pages = [Image.fromarray(REFERENCE[2]), Image.fromarray(RESTORED[2])]
    pages[0].save(folders / "reference" / "deep" / "c.tif", save_all=True, append_images=pages[1:])
    (folders / "reference" / "deep" / "c.png").unlink()
    arguments = [folders / "restored", folders / "reference", "--protocols", "psnr_rgb", "--json", folders / "o.json"]
    assert call(*arguments) == 0
    notes = {"its colour profile (which cannot be read) is not applied; taken to be sRGB": 2, "first of 2 frames": 1}
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("note: ")]
    assert lines == [f"note: {count} file{'s' if count > 1 else ''}: {line}" for line, count in notes.items()]
    assert json.loads((folders / "o.json").read_text())["notes"] == notes


def other_method(folders):
    """The restored images, halved, under names with a suffix."""
    for name, image in zip(("a", "b", "deep/c"), RESTORED, strict=True):
        path = folders / "out" / f"{name}_mynet.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image // 2).save(path)
    return folders / "out"


def test_several_methods_have_one_table_with_intervals_and_paired_differences(folders, capsys):
    method = f"halved={other_method(folders)}/*_mynet"
    tables = [folders / "new" / f"t{suffix}" for suffix in (".md", ".tex", ".csv")]
    outputs = ["--table", *tables, "--csv", folders / "new" / "o.csv", "--json", folders / "o.json"]
    folders_ = [folders / "restored", folders / "reference"]
    assert call(*folders_, "--method", method, "--protocols", "psnr_rgb,rmse", *outputs) == 0
    values = [np.asarray(compute("psnr_rgb", images, REFERENCE)) for images in (RESTORED, RESTORED // 2)]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["psnr_rgb", "rmse"]
    for line, name, column in zip(lines[1:3], ("restored", "halved"), values, strict=True):
        assert line.split()[:2] == [name, f"{column.mean():.2f}"]
    assert lines[4].split()[:2] == ["restored", "minus"]
    assert lines[5].split()[:2] == ["halved", f"{(values[0] - values[1]).mean():+.2f}"]
    markdown, latex, table = (path.read_text() for path in tables)
    assert f"| restored | **{values[0].mean():.2f}** [" in markdown
    assert rf"\textbf{{{values[0].mean():.2f}}} [" in latex
    assert [line.split(",")[0] for line in table.splitlines()] == ["method", "restored", "halved"]
    rows = list(csv.DictReader((folders / "new" / "o.csv").open()))
    assert [(row["method"], row["image"]) for row in rows[3:5]] == [("restored", "mean"), ("halved", "a")]
    found = json.loads((folders / "o.json").read_text())["methods"]
    assert found["halved"]["mean"]["psnr_rgb"] == pytest.approx(values[1].mean())


def test_a_suffix_is_removed_from_the_names(folders, capsys):
    arguments = [other_method(folders), folders / "reference", "--protocols", "rmse", "--suffix"]
    assert call(*arguments, "_mynet") == 0
    assert capsys.readouterr().out.startswith("3 images")
    assert call(*arguments, "_net") == 1
    assert "no image has a name of the form NAME_net; the first: a_mynet" in capsys.readouterr().err


def test_single_files_are_measured_whatever_their_names(folders, capsys):
    restored, reference = folders / "restored" / "a.bmp", folders / "reference" / "b.png"
    assert call(restored, reference, "--protocols", "psnr_rgb") == 0
    expected = float(compute("psnr_rgb", RESTORED[:1], REFERENCE[1:2])[0])
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["psnr_rgb", f"{expected:.4f}"]
    assert call(restored, folders / "reference") == 1
    assert "give files only, or folders only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--table", "t.html"), "--table t.html: the suffix of a table is one of .md, .tex, .csv"),
        (("--method", "restored=reference"), "would both be named restored: write NAME=reference"),
        (("--protocols", "psnr"), "; did you mean psnr_rgb?"),
    ],
)
def test_wrong_arguments_are_reported_before_the_first_image(folders, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr("ultrabm_jax.metrics.__main__.measure", lambda *_, **__: pytest.fail("measured"))
    assert call(folders / "restored", folders / "reference", *arguments) == 1
    assert message in capsys.readouterr().err


def test_identical_images(folders, capsys):
    assert call(folders / "reference", folders / "reference", "--protocols", "psnr_rgb") == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].split()[:3] == ["psnr_rgb", "inf", "nan"]
    assert "note: 3 equal to the reference: a, b, deep/c\n" in captured.err


def test_a_missing_asset_is_reported_and_the_other_protocols_are_measured(folders, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("ULTRABM_ASSETS", raising=False)
    arguments = [folders / "restored", folders / "reference", "--protocols", "brisque", "psnr_rgb"]
    assert call(*arguments, "--csv", folders / "o.csv") == 1
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
    assert call(folders / "restored") == 1
    assert "NIQE needs at least 96 pixels" in capsys.readouterr().out
    assert call(folders / "restored", "--low", folders / "reference") == 1
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
def test_errors_give_one_line(folders, capsys, arguments, message):
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


def test_a_bad_pair_does_not_affect_the_others(folders, capsys):
    Image.fromarray(RESTORED[0][:-1]).save(folders / "restored" / "a.bmp")
    (folders / "restored" / "b.bmp").write_bytes(b"not an image")
    outputs = ["--csv", folders / "o.csv", "--json", folders / "o.json"]
    assert call(folders / "restored", folders / "reference", "--protocols", "psnr_rgb", *outputs) == 1
    captured = capsys.readouterr()
    expected = float(compute("psnr_rgb", RESTORED[2:], REFERENCE[2:])[0])
    line = captured.out.splitlines()[1]
    assert line.split()[:2] == ["psnr_rgb", f"{expected:.4f}"]
    assert line.endswith("higher is better, mean over 1 of 3 images")
    sizes = "the restored image has 32x23 pixels, the reference image 32x24"
    assert f"note: a: {sizes} [psnr_rgb]\n" in captured.err
    assert "note: b: " in captured.err
    rows = list(csv.DictReader((folders / "o.csv").open()))
    assert [row["psnr_rgb"] for row in rows] == ["", "", *[f"{expected:.9g}"] * 2]
    found = json.loads((folders / "o.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert found["mean"]["psnr_rgb"] == pytest.approx(expected)
    assert (found["count"], found["counts"], found["complete"]) == (3, {"psnr_rgb": 1}, False)
    assert found["problems"]["a"] == {sizes: ["psnr_rgb"]}
    assert found["images"]["a"] == {"psnr_rgb": None}


def test_an_image_too_small_for_a_metric_does_not_affect_the_others(tmp_path, capsys, shared):
    large = RNG.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    for name, image in (("large", large), ("small", large[:32, :32])):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    assert call(tmp_path, "--assets", shared / "assets", "--protocols", "niqe_gray") == 1
    captured = capsys.readouterr()
    expected = compute("niqe_gray", large[None], assets=shared / "assets")[0]
    assert captured.out.splitlines()[1].split()[1] == f"{expected:.4f}"
    assert "mean over 1 of 2 images" in captured.out
    assert "note: small: NIQE needs at least 96 pixels a side, got 32x32 [niqe_gray]\n" in captured.err


def test_a_restored_image_of_another_size_than_the_input_keeps_its_other_scores(folders, capsys):
    (folders / "low").mkdir()
    for name, image in zip(("a", "b"), RESTORED[:2, ::2, ::2], strict=True):
        Image.fromarray(image).save(folders / "low" / f"{name}.png")
    arguments = [folders / "restored", folders / "reference", "--low", folders / "low", "--allow-missing"]
    assert call(*arguments, "--protocols", "psnr_rgb", "loe") == 1
    _, psnr, loe = capsys.readouterr().out.splitlines()
    assert psnr.split()[1] == f"{np.mean(compute('psnr_rgb', RESTORED[:2], REFERENCE[:2])):.4f}"
    assert "not available: the restored image has 32x24 pixels, the low image 16x12 (at a)" in loe
