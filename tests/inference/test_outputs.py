"""Where outputs go, what they are named, and which are kept; repeated and interrupted runs: test_continuing.py."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata

import numpy as np
import pytest
from inference.flat_images import levels, save
from PIL import ExifTags, Image, ImageCms

from ultrabm_jax.image import read_image
from ultrabm_jax.image.write import quantise
from ultrabm_jax.inference.records import read_records
from ultrabm_jax.inference.restorer import Restorer

EXIF = ExifTags.Base


def test_a_moved_folder_keeps_its_records(tmp_path, run):
    save(tmp_path / "one" / "a.png", 20)
    run(tmp_path / "one", "--output", tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    status, err = run(tmp_path / "two", "--output", tmp_path / "two")
    assert (status, "0 restored, 0 failed, 1 kept" in err) == (0, True)


def test_a_folder_of_outputs_can_be_an_input(tmp_path, run):
    save(tmp_path / "in" / "a.png", 20)
    run(tmp_path / "in", "--output", tmp_path / "out")
    status, err = run(tmp_path / "out", "--output", tmp_path / "again")
    assert (status, "1 restored" in err) == (0, True)
    status, err = run(tmp_path, "--output", tmp_path / "third")  # its two outputs were made from one of its inputs
    assert (status, "1 restored" in err) == (0, True)


def test_two_folders_with_one_file_name(tmp_path, run):
    for k, level in ((1, 20), (2, 80), (3, 160)):
        save(tmp_path / f"D{k}" / "only.png", level)
    single = {}
    for k in (1, 2, 3):
        run(tmp_path / f"D{k}", "--output", tmp_path / f"single{k}")
        single[k] = levels(tmp_path / f"single{k}")["only.png"]
    out = tmp_path / "out"
    assert run(tmp_path / "D1", tmp_path / "D2", "--output", out)[0] == 0
    assert levels(out) == {"only_D1.png": single[1], "only_D2.png": single[2]}
    status, err = run(tmp_path / "D2", tmp_path / "D3", "--output", out)
    assert (status, "1 restored, 0 failed, 1 kept" in err) == (0, True)
    assert levels(out) == {"only_D1.png": single[1], "only_D2.png": single[2], "only.png": single[3]}
    status, err = run(tmp_path / "D3", tmp_path / "D1", tmp_path / "D2", "--output", out)
    assert (status, "0 restored, 0 failed, 3 kept" in err) == (0, True)


def test_one_file_by_two_spellings_is_one(tmp_path, run, monkeypatch):
    save(tmp_path / "in" / "a.png", 20)
    (tmp_path / "link").symlink_to("in")
    monkeypatch.chdir(tmp_path)
    status, err = run("in/a.png", "./in/../in/a.png", tmp_path / "in" / "a.png", "link/a.png", "in", "--output", "out")
    assert (status, "1 restored" in err) == (0, True)
    assert list(levels(tmp_path / "out")) == ["a.png"]


def test_kept_outputs_were_made_from_the_present_source(tmp_path, run):
    path = save(tmp_path / "in" / "a.png", 20)
    out = tmp_path / "out"
    run(path, "--output", out)
    dark = levels(out)["a.png"]
    save(path, 120)
    status, err = run(path, "--output", out)
    assert (status, "1 restored" in err) == (0, True)
    assert levels(out)["a.png"] > dark


def test_a_source_of_the_same_size_and_time_is_restored_again(tmp_path, run):
    """As when an archive, whose files all have one time, is unpacked over another one."""
    path = save(tmp_path / "in" / "a.bmp", 20)
    os.utime(path, ns=(0, 0))
    run(path, "--output", tmp_path / "out")
    dark, size = levels(tmp_path / "out")["a.png"], path.stat().st_size
    save(path, 120)
    os.utime(path, ns=(0, 0))
    assert path.stat().st_size == size
    status, err = run(path, "--output", tmp_path / "out")
    assert (status, "1 restored" in err) == (0, True)
    assert levels(tmp_path / "out")["a.png"] > dark


def test_a_source_that_is_a_link_to_another_file_is_restored_again(tmp_path, run):
    dark, bright = save(tmp_path / "dark.bmp", 20), save(tmp_path / "bright.bmp", 120)
    link = tmp_path / "in" / "a.bmp"
    link.parent.mkdir()
    found = []
    for source in (dark, bright, bright):
        os.utime(source, ns=(0, 0))
        link.unlink(missing_ok=True)
        link.symlink_to(source)
        status, err = run(link, "--output", tmp_path / "out")
        found.append((status, "1 restored" in err, levels(tmp_path / "out")["a.png"]))
    assert [entry[:2] for entry in found] == [(0, True), (0, True), (0, False)]
    assert found[0][2] < found[1][2] == found[2][2]


def test_copied_files_with_other_times_are_kept(tmp_path, run):
    save(tmp_path / "one" / "a.png", 20)
    run(tmp_path / "one", "--output", tmp_path / "one" / "out")
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copyfile)
    status, err = run(tmp_path / "two", "--output", tmp_path / "two" / "out")
    assert (status, "0 restored, 0 failed, 1 kept" in err) == (0, True)


def test_an_output_that_another_program_changed_is_neither_kept_nor_replaced(tmp_path, run):
    path = save(tmp_path / "in" / "a.png", 20)
    run(path, "--output", tmp_path / "out")
    target = save(tmp_path / "out" / "a.png", 200)
    before = target.read_bytes()
    status, err = run(path, "--output", tmp_path / "out")
    assert status == 1
    assert f"error: {path}: {target} was changed after it was restored; --overwrite replaces it\n" in err
    assert target.read_bytes() == before
    assert run(path, "--output", tmp_path / "out", "--overwrite")[0] == 0
    assert "1 kept" in run(path, "--output", tmp_path / "out")[1]


NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "A.png"),
        ("a.png", "a.jpg"),
        ("a.jpg", "a.JPG", "A.png"),
        (f"{NFC}.png", f"{NFD}.png"),
        (f"{NFC.upper()}.png", f"{NFD}.png"),
        ("stra\u00dfe.png", "STRASSE.png"),
        ("Sub/a.png", "sub/a.png"),
        (f"{NFC}/a.png", f"{NFD}/a.png"),
        ("a.png", "a.jpg", "a_png.png", "a_jpg.png", "a_in.png"),
    ],
)
def test_outputs_stay_distinct_where_case_and_normalisation_do_not_count(tmp_path, run, names):
    for k, name in enumerate(names):
        save(tmp_path / "in" / name, 10 + 20 * k)
    for _ in range(2):
        status, err = run(tmp_path / "in", "--output", tmp_path / "out")
        assert status == 0
        written = [path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")]
        folded = {unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()) for name in written}
        assert len(written) == len(folded) == len(names), written
    assert f"{len(names)} kept" in err


def test_two_output_folders_that_are_one(tmp_path, run):
    for k, folder in enumerate(("x", "y")):
        save(tmp_path / "in" / folder / "a.png", 20 + 60 * k)
    (tmp_path / "out" / "x").mkdir(parents=True)
    (tmp_path / "out" / "y").symlink_to("x")
    assert run(tmp_path / "in", "--output", tmp_path / "out")[0] == 0
    assert len(levels(tmp_path / "out" / "x")) == 2
    status, err = run(tmp_path / "in", "--output", tmp_path / "out")
    assert (status, "2 kept" in err) == (0, True)


def test_links_in_the_output_folder_never_lead_to_an_input(tmp_path, run, no_network):
    path = save(tmp_path / "in" / "a.png", 20)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").symlink_to(path)
    for flags in ((), ("--overwrite",)):
        status, err = run(path, "--output", tmp_path / "out", *flags)
        assert (status, "the output would replace an input" in err) == (1, True)
    (tmp_path / "linked").symlink_to("in")
    status, err = run(path, "--output", tmp_path / "linked" / "a.png", "--overwrite")
    assert (status, "the output would replace an input" in err) == (1, True)


def test_an_input_by_a_spelling_that_only_the_file_system_knows_is_not_replaced(tmp_path, run, no_network, monkeypatch):
    """On macOS, in/a.png and IN/A.png are one file; here two paths whose links are not resolved."""
    path = save(tmp_path / "in" / "a.png", 20)
    (tmp_path / "IN").symlink_to("in")
    monkeypatch.setattr("ultrabm_jax.inference.jobs.identity", str)
    monkeypatch.setattr("ultrabm_jax.inference.jobs.os.path.realpath", str)
    status, err = run(path, "--output", tmp_path / "IN" / "a.png", "--overwrite")
    assert (status, "the output would replace an input" in err) == (1, True)


def test_a_file_of_unknown_origin_is_neither_kept_nor_replaced(tmp_path, run):
    path = save(tmp_path / "a.jpg", 20)
    foreign = save(tmp_path / "out" / "a.png", 200)
    before = foreign.read_bytes()
    status, err = run(path, "--output", tmp_path / "out")
    assert status == 1
    assert f"error: {path}: {foreign} exists and was not made from this file; --overwrite replaces it\n" in err
    assert foreign.read_bytes() == before
    assert run(path, "--output", tmp_path / "out", "--overwrite")[0] == 0
    assert "1 kept" in run(path, "--output", tmp_path / "out")[1]


def test_videos_in_a_folder_are_skipped_with_a_hint(tmp_path, run):
    save(tmp_path / "in" / "a.png", 20)
    (tmp_path / "in" / "clip.MP4").write_bytes(b"video")
    _, err = run(tmp_path / "in", "--output", tmp_path / "out")
    assert err.splitlines()[0] == ("skipped 1 file that is not an image: .mp4 1; to restore a video, name the file")


def test_a_damaged_record_is_left_out(tmp_path, run):
    save(tmp_path / "in" / "a.png", 20)
    run(tmp_path / "in", "--output", tmp_path / "out")
    record = tmp_path / "out" / ".restore.jsonl"
    record.write_text('[1]\n{"source": "x"}\n' + record.read_text() + '{"source": "../in/')
    records = read_records(tmp_path / "out")
    assert [(record.stem, record.complete) for record in records] == [("a", False), ("a", True)]
    assert "1 kept" in run(tmp_path / "in", "--output", tmp_path / "out")[1]


def test_lines_are_printed_for_restored_files_only(tmp_path, run):
    good = save(tmp_path / "in" / "a.png", 20)
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    out = tmp_path / "out"
    status, err = run(tmp_path / "in", "--output", out)
    assert status == 1
    assert [line for line in err.splitlines() if "->" in line] == [f"[1/2] {good} -> {out}/a.png"]
    _, err = run(tmp_path / "in", "--output", out)
    assert "->" not in err
    assert "0 restored, 1 failed, 1 kept" in err


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_a_file_name_as_output(tmp_path, run, suffix):
    path = save(tmp_path / "a.jpg", 20)
    target = tmp_path / "new" / f"x.{suffix}"
    assert run(path, "--output", target)[0] == 0
    assert read_image(target).rgb.shape == (12, 16, 3)
    assert "1 kept" in run(path, "--output", target)[1]
    other = save(tmp_path / "b.jpg", 90)
    status, err = run(path, other, "--output", target)
    assert (status, "names one file, and there are 2 inputs; name a folder" in err) == (1, True)
    status, err = run(other, "--output", target)
    assert (status, "was not made from this file" in err) == (1, True)


def test_contradicting_formats(tmp_path, run):
    path = save(tmp_path / "a.jpg", 20)
    status, err = run(path, "--output", tmp_path / "x.png", "--format", "jpg")
    assert (status, "contradict each other" in err) == (1, True)
    status, err = run(path, "--output", tmp_path / "x.gif")
    assert (status, "images are written as .jpeg, .jpg, .png" in err) == (1, True)
    status, err = run(path, "--output", tmp_path / "out", "--format", "jpg", "--bits", "16")
    assert (status, "JPEG holds 8 bits per channel; write PNG or TIFF" in err) == (1, True)
    assert not (tmp_path / "out").exists()


def test_transparency_and_jpeg_are_refused_before_the_network(tmp_path, run, no_network):
    path = save(tmp_path / "a.png", 20, mode="RGBA")
    status, err = run(path, "--output", tmp_path / "out", "--format", "jpg")
    assert (status, "JPEG has no transparency" in err) == (1, True)


def metadata(path):
    with Image.open(path) as image:
        exif = image.getexif()
        dpi = image.info.get("dpi")
        return exif.get(EXIF.Make), exif.get(EXIF.Orientation), dpi and round(dpi[0]), image.info.get("icc_profile")


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "tif"])
def test_metadata_is_kept_or_stripped(tmp_path, run, format):
    exif = Image.Exif()
    exif[EXIF.Make], exif[EXIF.Orientation] = "Maker", 6
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(tmp_path / "a.jpg", 20, exif=exif, dpi=(300, 300), icc_profile=icc)
    assert run(path, "--output", tmp_path / "kept", "--format", format)[0] == 0
    assert run(path, "--output", tmp_path / "stripped", "--format", format, "--strip")[0] == 0
    kept, stripped = (tmp_path / name / f"a.{format}" for name in ("kept", "stripped"))
    dpi = None if format == "webp" else 300  # WebP holds no resolution outside EXIF
    assert metadata(kept) == ("Maker", None, dpi, icc)
    assert read_image(kept).rgb.shape == (16, 12, 3)
    make, orientation, dpi, icc = metadata(stripped)
    assert (make, orientation, icc) == (None, None, None)
    assert dpi in (None, 1)
    assert read_image(stripped).rgb.shape == (16, 12, 3)


def test_other_formats_share_the_name_of_one_input(tmp_path, run):
    path = save(tmp_path / "a.jpg", 20)
    for format in ("png", "webp"):
        assert run(path, "--output", tmp_path / "out", "--format", format)[0] == 0
    assert sorted(p.name for p in (tmp_path / "out").glob("a*")) == ["a.png", "a.webp"]


def test_records_of_an_earlier_version_name_the_outputs_and_say_why_these_are_not_kept(tmp_path, run):
    """They have neither hashes nor times of the outputs: whether somebody edited an output is not known."""
    path = save(tmp_path / "a.jpg", 20)
    run(path, "--output", tmp_path)
    status = path.stat()
    old = {"source": "a.jpg", "size": status.st_size, "modified": status.st_mtime_ns, "stem": "a_restored"}
    lines = [{**old, "outputs": ["a_restored.png"], "complete": complete} for complete in (False, True)]
    (tmp_path / ".restore.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, err = run(tmp_path, "--output", tmp_path)  # a_restored.png is not an input
    assert status == 1
    assert err.splitlines()[0] == (
        f"error: {path}: {tmp_path}/a_restored.png was recorded by an earlier version, without what it held; "
        "--overwrite replaces it"
    )
    assert run(tmp_path, "--output", tmp_path, "--overwrite")[0] == 0
    status, err = run(tmp_path, "--output", tmp_path)
    assert (status, "0 restored, 0 failed, 1 kept" in err) == (0, True)
    (tmp_path / ".restore.jsonl").write_text(json.dumps(lines[0]) + "\n")  # that run was interrupted
    assert run(tmp_path, "--output", tmp_path)[0] == 0


@pytest.mark.parametrize("source", ["shared", "made"])
@pytest.mark.parametrize("format", ["png", "tif"])
def test_16_bits_stay_16_bits_from_input_to_output(tmp_path, run, network, request, source, format):
    """--bits 16 writes the network's values for all 16 bits of the input; without it, 8 bits."""
    path = tmp_path / "q_ppm16.ppm"
    if source == "shared":
        path.write_bytes((request.getfixturevalue("shared") / "field" / "images" / path.name).read_bytes())
    else:
        values = np.random.default_rng(0).integers(0, 65536, (12, 16, 3), np.uint16)
        path.write_bytes(b"P6 16 12 65535\n" + values.astype(">u2").tobytes())
    low = read_image(path).rgb
    assert len(np.unique(np.rint(low * 65535) % 257)) > 100  # the lower bits count
    expected = Restorer(*network)(low)
    for bits in (16, 8):
        flags = ("--bits", bits, "--format", format, "--tile", 0)
        assert run(path, "--output", tmp_path / f"{bits}", *flags)[0] == 0
        written = read_image(tmp_path / f"{bits}" / f"q_ppm16.{format}")
        assert written.bits == bits
        np.testing.assert_array_equal(
            np.rint(written.rgb * (2**bits - 1)), quantise(expected, bits), err_msg=f"{bits} bits"
        )
