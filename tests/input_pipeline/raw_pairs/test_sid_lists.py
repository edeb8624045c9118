from __future__ import annotations

import pytest

from input_pipeline.files.listing import DEFECT_KINDS, MissingData, raise_on_defects
from input_pipeline.raw_pairs.sid_lists import MARKER, find_sid, parse_line, parse_name, read_list
from ultrabm_jax.errors import UserError

LINES = """\
./Sony/short/20188_00_0.033s.ARW ./Sony/long/20188_00_10s.ARW ISO10000 F10
./Sony/short/20188_00_0.04s.ARW ./Sony/long/20188_00_10s.ARW ISO10000 F10
./Sony/short/20188_01_0.1s.ARW ./Sony/long/20188_00_10s.ARW ISO10000 F10
./Sony/short/20177_00_0.1s.ARW ./Sony/long/20177_00_30s.ARW ISO64 F4.5
"""


@pytest.fixture
def sid(tmp_path):
    """A tree with true names and lines; the images are empty."""
    (tmp_path / "Sony_val_list.txt").write_text(LINES)
    for line in LINES.splitlines():
        for name in line.split()[:2]:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tmp_path


def test_frames_of_a_list(sid):
    frames, defects = find_sid(sid, camera="sony", split="val")
    assert not defects
    assert [frame.name for frame in frames] == ["20188_00_0.033s", "20188_00_0.04s", "20188_01_0.1s", "20177_00_0.1s"]
    assert [frame.ratio for frame in frames] == [300, 250, 100, 300]
    first = frames[0]
    assert (first.short, first.long) == (sid / "Sony/short/20188_00_0.033s.ARW", sid / "Sony/long/20188_00_10s.ARW")
    assert (first.scene, first.burst, first.exposure, first.reference_exposure) == ("20188", 0, 0.033, 10)
    assert (first.iso, first.f_number, first.synthetic) == (10000, 10, False)
    assert (frames[3].f_number, frames[3].reference_exposure) == (4.5, 30)


def test_bursts_scenes_and_the_synthetic_marker(sid):
    frames, _ = find_sid(sid, split="val", bursts="first")
    assert [frame.burst for frame in frames] == [0, 0, 0]
    frames, _ = find_sid(sid, split="val", leave_out=("20188",))
    assert [frame.scene for frame in frames] == ["20177"]
    (sid / MARKER).touch()
    assert all(frame.synthetic for frame in find_sid(sid, split="val")[0])


def test_missing_files_are_named_once(sid):
    (sid / "Sony/long/20188_00_10s.ARW").unlink()
    (sid / "Sony/short/20177_00_0.1s.ARW").unlink()
    frames, defects = find_sid(sid, split="val")
    assert frames == []
    assert [defect.kind for defect in defects] == ["missing file", "missing file"]
    assert "long/20188_00_10s.ARW (named in Sony_val_list.txt)" in defects[0].what
    with pytest.raises(UserError, match="2 missing file"):
        raise_on_defects(defects)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("./Sony/short/20188_00_0.04s.ARW ./Sony/long/20188_00_10s.ARW", "is not 'SHORT LONG ISOnnn Fn'"),
        (
            "./Sony/short/20188_00_0.04.ARW ./Sony/long/20188_00_10s.ARW ISO64 F4",
            "20188_00_0.04.ARW is not named PSSSS",
        ),
        ("./Sony/short/20188_00_0s.ARW ./Sony/long/20188_00_10s.ARW ISO64 F4", "20188_00_0s.ARW is not named"),
        ("./Sony/short/20189_00_0.04s.ARW ./Sony/long/20188_00_10s.ARW ISO64 F4", "different scenes"),
        ("./Sony/short/20188_00_10s.ARW ./Sony/long/20188_00_0.1s.ARW ISO64 F4", "exposed for less time"),
        ("../short/20188_00_0.04s.ARW ./Sony/long/20188_00_10s.ARW ISO64 F4", "not below the folder"),
        ("/short/20188_00_0.04s.ARW ./Sony/long/20188_00_10s.ARW ISO64 F4", "not below the folder"),
        (LINES.splitlines()[0], "20188_00_0.033s.ARW is listed twice"),
    ],
)
def test_bad_lines_are_reported_and_others_used(sid, line, words):
    path = sid / "Sony_val_list.txt"
    path.write_text(f"{LINES}\n{line}\n")
    frames, (defect,) = read_list(path, root=sid)
    assert len(frames) == 4
    assert defect.kind in DEFECT_KINDS
    assert defect.kind == "bad list line"
    assert defect.what.startswith(f"{path}:6: ")
    assert words in defect.what


def test_missing_folders_lists_and_options(tmp_path):
    with pytest.raises(MissingData, match=r"Sony_train_list.txt is not there: .*Learning-to-See-in-the-Dark"):
        find_sid(tmp_path, split="train")
    with pytest.raises(MissingData, match=r"data.root is not set: .*Fuji/\{short,long\}"):
        find_sid("", camera="fuji", split="train")
    with pytest.raises(UserError, match="camera 'nikon' is not known; choose one of: sony, fuji"):
        find_sid(tmp_path, camera="nikon", split="train")


def test_fuji_names(tmp_path):
    line = "./Fuji/short/00001_00_0.1s.RAF ./Fuji/long/00001_00_10s.RAF ISO1000 F2.8"
    frame = parse_line(line, root=tmp_path)
    assert (frame.short.name, frame.ratio, frame.f_number) == ("00001_00_0.1s.RAF", 100, 2.8)
    assert parse_name("10034_12_0.033s.dng") == ("10034", 12, 0.033)
