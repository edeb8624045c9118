"""The rule for listing folders, which training, restoring and metrics share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from input_pipeline.files.photos import find_photos
from ultrabm_jax.image import is_image
from ultrabm_jax.image.listing import affix_hint, describe_skipped, list_tree, similar_folder
from ultrabm_jax.inference.jobs import plan
from ultrabm_jax.logging import configure_logging
from ultrabm_jax.metrics.folders import list_images


def listed(listing: str, folder: Path) -> list[str]:
    """The images that one of the three programs finds, as paths below the folder."""
    if listing == "training":
        found, defects = find_photos(str(folder), split="train")
        assert all(defect.kind == "linked folder" for defect in defects)
        files = list(found.values())
    elif listing == "metrics":
        files = list(list_images(folder).values())
    else:
        files = [job.source for job in plan([folder], folder.parent / "out")]
    return sorted(path.relative_to(folder).as_posix() for path in files)


LISTINGS = ("training", "restore", "metrics")


@pytest.mark.parametrize("listing", LISTINGS)
def test_hidden_and_system_entries_are_ignored(listing, shared):
    assert listed(listing, shared / "field" / "folder" / "x") == ["k.jpg"]


@pytest.mark.parametrize("listing", LISTINGS)
def test_all_formats_are_listed(listing, shared):
    root = shared / "field" / "folder"
    expected = sorted(path.relative_to(root).as_posix() for path in [*root.glob("*.*"), root / "x" / "k.jpg"])
    assert {"k.jfif", "k.JPE", "k.avif", "k.jp2", "k.jpg_large", "photo.HEIC"} < set(expected)
    assert len(expected) == 13
    if listing == "metrics":  # two files named k with different extensions are ambiguous there
        assert sorted(path.relative_to(root).as_posix() for path in list_tree(root, is_image).files) == expected
    elif listing == "training":
        found, defects = find_photos(str(root), split="train")
        assert len(found) + sum(defect.kind == "duplicate name" for defect in defects) == 13
    else:
        assert listed(listing, root) == expected


@pytest.mark.parametrize("listing", LISTINGS)
def test_links_are_followed_once(listing, tmp_path):
    root = tmp_path / "in"
    (root / "a").mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    for path in (root / "a" / "1.png", tmp_path / "disk" / "2.png"):
        Image.new("RGB", (2, 2)).save(path)
    (root / "a" / "loop").symlink_to("..")
    (root / "up").symlink_to(tmp_path)
    (root / "disk").symlink_to(tmp_path / "disk")
    assert listed(listing, root) == ["a/1.png", "disk/2.png"]


@pytest.mark.parametrize("listing", LISTINGS)
def test_skipped_files_are_counted_in_one_line(listing, tmp_path, capsys):
    configure_logging()
    root = tmp_path / "in"
    root.mkdir()
    Image.new("RGB", (2, 2)).save(root / "1.png")
    for name in ("a.txt", "b.TXT", "c.mp4", ".hidden.jpg", "Thumbs.db"):
        (root / name).write_bytes(b"x")
    assert listed(listing, root) == ["1.png"]
    lines = [line for line in capsys.readouterr().err.splitlines() if "skipped" in line]
    hint = "; to restore a video, name the file" if listing == "restore" else ""
    skipped = f"skipped 3 files that are not images: .txt 2, .mp4 1{hint}"
    assert [line.removeprefix(f"{root}: ") for line in lines] == [skipped]


def test_describe_skipped_without_files_and_with_one():
    assert describe_skipped(Counter()) == ""
    assert describe_skipped(Counter({".arw": 1})) == "skipped 1 file that is not an image: .arw 1"


@pytest.mark.parametrize(
    ("names", "partners", "hint"),
    [
        (["0001", "0002"], ["0001x2", "0002x2"], "did you mean 0001x2 for 0001? The name ends in 'x2'"),
        (["1", "2"], ["1_out", "2_out"], "did you mean 1_out for 1? The name ends in '_out'"),
        (["low1", "low2"], ["1", "2"], "did you mean low1 for 1? The name begins with 'low'"),
        (["1_low", "2_low"], ["1_high", "2_high"], "did you mean 1_low for 1_high?"),
        (["x", "y"], ["X", "Y", "z"], "did you mean X for x? The names differ in case"),
        (["x", "a", "b"], ["X", "c", "d"], ""),
        (["a"], ["b"], ""),
        (["1", "2", "3"], ["x", "y"], ""),
        ([], ["1"], ""),
    ],
)
def test_names_with_an_affix_get_a_suggestion(names, partners, hint):
    found = affix_hint(names, partners)
    assert found.startswith(hint) if hint else found == ""


@pytest.mark.parametrize(
    ("wanted", "existing", "expected"),
    [
        ("Low", ["low", "normal"], "low"),
        ("low", ["input", "gt"], "input"),
        ("high", ["input", "gt"], "gt"),
        ("high", ["input", "target"], "target"),
        ("high", ["gt", "target"], None),
        ("low", ["photos"], None),
    ],
)
def test_similar_folders(tmp_path, wanted, existing, expected):
    for name in existing:
        (tmp_path / name).mkdir()
    found = similar_folder(tmp_path / wanted)
    assert (found and found.name) == expected
