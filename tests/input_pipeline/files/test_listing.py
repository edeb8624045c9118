"""Links, pipes, permissions and names: nothing is ignored silently, and listing always terminates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from input_pipeline.files.listing import Defect, MissingData, images_by_stem, pair_folders
from input_pipeline.files.photos import find_photos
from ultrabm_jax.image import BadImage, read_rgb_uint8, read_size
from ultrabm_jax.image.bad_image import printable
from ultrabm_jax.image.listing import list_folder

ROOT = Path(__file__).resolve().parents[3]


def kinds(defects):
    return sorted(defect.kind for defect in defects)


def photos(folder):
    found, defects = find_photos(str(folder), split="train")
    return list(found), defects


def test_circular_link_terminates_and_is_named(tmp_path, image):
    image(tmp_path / "photos" / "a" / "1.png", 4, 4)
    (tmp_path / "photos" / "a" / "loop").symlink_to("..")
    (tmp_path / "photos" / "out").symlink_to(tmp_path)  # a folder around the root, so around itself
    names, defects = photos(tmp_path / "photos")
    assert names == ["a/1"]
    assert kinds(defects) == ["linked folder", "linked folder"]
    assert f"a/loop leads to {tmp_path}/photos" in defects[1].what


def test_linked_folders_are_read_once_and_keep_their_own_path(tmp_path, image):
    image(tmp_path / "disk" / "2.png", 4, 4)
    image(tmp_path / "photos" / "z" / "1.png", 4, 4)
    (tmp_path / "photos" / "a").symlink_to("z")
    (tmp_path / "photos" / "disk").symlink_to(tmp_path / "disk")
    names, defects = photos(tmp_path / "photos")
    assert names == ["disk/2", "z/1"]
    assert [defect.what.split(" leads")[0] for defect in defects] == [str(tmp_path / "photos" / "a")]


def test_broken_links(tmp_path, image):
    image(tmp_path / "p" / "1.png", 4, 4)
    (tmp_path / "p" / "2.png").symlink_to("gone.png")
    (tmp_path / "p" / "3.png").symlink_to("3.png")
    (tmp_path / "p" / "more").symlink_to("not mounted")
    names, defects = photos(tmp_path / "p")
    assert names == ["1", "2", "3"]
    assert [defect.what for defect in defects] == [f"{tmp_path}/p/more: a broken link"]
    for name, reason in (("2.png", r"a link to gone\.png, which does not exist"), ("3.png", "a circular link")):
        for read in (read_size, read_rgb_uint8):
            with pytest.raises(BadImage, match=rf"{name}: .*{reason}"):
                read(tmp_path / "p" / name)


def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "1.png")  # opening it would block
    (tmp_path / "2.png").mkdir()
    found, defects = images_by_stem(tmp_path)
    assert (list(found), defects) == (["1", "2"], [])
    with pytest.raises(BadImage, match=r"1\.png: a pipe or device"):
        read_size(found["1"])
    with pytest.raises(BadImage, match=r"2\.png: a folder"):
        read_rgb_uint8(found["2"])


def test_system_files_are_ignored(tmp_path, image):
    for name in (".thumbnails/1.png", "@eaDir/1.png/S.jpg", "__MACOSX/._1.png", ".DS_Store", "Thumbs.db", "._2.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    image(tmp_path / "A.PNG", 4, 4)
    image(tmp_path / "deep" / "er" / "B.JpEg", 4, 4)
    assert photos(tmp_path) == (["A", "deep/er/B"], [])


def test_names(tmp_path, image):
    composed, decomposed = "caf\u00e9", "cafe\u0301"  # what Linux writes, what older macOS writes
    image(tmp_path / "low" / f"{composed}.png", 4, 4)
    image(tmp_path / "high" / f"{decomposed}.png", 4, 4)
    for folder in ("low", "high"):
        image(tmp_path / folder / f"{'n' * 251}.png", 4, 4)  # as long as file systems allow
        image(tmp_path / folder / "two\nlines.png", 4, 4)
    Path(os.fsdecode(os.fsencode(tmp_path / "low") + b"/\xff.png")).write_bytes(b"")
    listing = pair_folders(tmp_path / "low", tmp_path / "high")
    assert [pair.name for pair in listing.pairs] == [composed, "n" * 251, "two\nlines"]
    assert kinds(listing.defects) == ["bad name"]
    assert printable(listing.defects[0].what).endswith(r"low/\udcff.png (not UTF-8: rename it)")
    assert kinds(photos(tmp_path)[1]) == ["bad name"]
    (tmp_path / "two\nlines.png").write_bytes(b"")
    with pytest.raises(BadImage, match=r"two\\nlines\.png: an empty file") as caught:
        read_size(tmp_path / "two\nlines.png")
    assert "\n" not in str(caught.value)


def test_empty_folder_error_lists_other_contents(tmp_path, image):
    image(tmp_path / "low" / "sub" / "1.png", 4, 4)
    for k in range(3):
        (tmp_path / "low" / f"{k}.MP4").write_bytes(b"x")
    assert images_by_stem(tmp_path / "low")[1] == [
        Defect("empty folder", f"{tmp_path}/low (it contains 3 .mp4, 1 folders)")
    ]
    (tmp_path / "high").mkdir()
    assert images_by_stem(tmp_path / "high")[1][0].what.endswith("high (it is empty)")


@pytest.mark.parametrize("kind", ["nothing", "file", "loop"])
def test_missing_folder_or_file_instead_of_a_folder(tmp_path, kind):
    low = tmp_path / "low"
    if kind == "file":
        low.write_bytes(b"")
    elif kind == "loop":
        low.symlink_to("low")
    found, (defect,) = images_by_stem(low)
    assert (found, defect.kind) == ({}, "missing folder")
    assert {"nothing": "no such folder", "file": "a file, not", "loop": "a circular link"}[kind] in defect.what


def test_order_is_by_name(tmp_path):
    for name in ("b", "B", "a", "10", "9"):
        (tmp_path / name).mkdir()
    assert [path.name for path in list_folder(tmp_path)] == ["10", "9", "B", "a", "b"]


def test_unknown_kind_of_defect_is_refused():
    with pytest.raises(KeyError, match="odd"):
        Defect("odd", "x")


def test_unreadable_files_and_folders_are_named(pairs, image):
    image(pairs / "low" / "5.png", 12, 16)
    (pairs / "low" / "0.png").chmod(0)
    (pairs / "high").chmod(0)
    command = [sys.executable, "-m", "input_pipeline.check", "--paired", str(pairs)]
    if os.geteuid() == 0:  # root may read everything, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        (pairs / "high").chmod(0o755)
        again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    finally:
        (pairs / "high").chmod(0o755)
    if "setpriv" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 1
    assert f"missing folder: 1 folders that do not exist or cannot be listed\n  {pairs}/high: no permi" in done.stdout
    assert f"  {pairs}/low/0.png: no permission to read it\n" in again.stdout
    assert again.stdout.endswith("2 defects; usable: train 4\n")


def test_linked_images_are_listed(tmp_path, image):
    target = image(tmp_path / "elsewhere.png", 4, 6)
    (tmp_path / "link.png").symlink_to(target)
    assert read_size(tmp_path / "link.png") == (4, 6)
    assert Image.open(tmp_path / "link.png").size == (6, 4)


@pytest.mark.parametrize(
    ("root", "existing", "hint"), [("High", "high", "high"), ("high", "gt", "gt"), ("photos", "images", None)]
)
def test_a_missing_folder_of_photos_gets_the_suggestion_of_paired_folders(tmp_path, root, existing, hint):
    (tmp_path / existing).mkdir()
    with pytest.raises(MissingData) as error:
        find_photos(str(tmp_path / root), split="train", option="data.photos")
    suggestion = "" if hint is None else f" (did you mean {tmp_path / hint}?)"
    assert str(error.value) == (
        f"{tmp_path / root} is not a folder{suggestion}: point data.photos at a folder of photos (any depth), "
        "or set it to skimage"
    )
