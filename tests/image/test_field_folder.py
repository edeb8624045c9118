"""Files with unusual names and contents in shared/field/folder: values as Pillow decodes them, or one line.

The scene is 64x48 with a mean of .228. All JPEG files hold the same pixels.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from ultrabm_jax.extras import install
from ultrabm_jax.image import BadImage, read_image, read_rgb_uint8, read_size
from ultrabm_jax.image.listing import list_tree
from ultrabm_jax.inference.files import restore_files
from ultrabm_jax.inference.jobs import plan

UNICODE = "ü é 漢字 #1%20.JPG"
SAME_JPEG = ("k.JPE", "k.jfif", "k.jpg_large", "jpeg_inside.heic", "trailing_mp4.jpg", "x/k.jpg", UNICODE)
OTHERS = {"k.avif": "AVIF", "k.jp2": "JPEG2000", "webp_inside.jpg": "WEBP"}
CUT_OFF = ("heic_inside.jpg", "photo.HEIC")  # the beginning of a HEIC file
READERS = (read_image, read_rgb_uint8, read_size)


@pytest.fixture
def folder(shared) -> Path:
    return shared / "field" / "folder"


@pytest.mark.parametrize("name", [*SAME_JPEG, *OTHERS])
def test_the_content_and_not_the_name_decides(folder, name):
    with PillowImage.open(folder / name) as image:
        expected, format = np.asarray(image.convert("RGB")), image.format
    assert format == OTHERS.get(name, "JPEG")
    image, pixels = read_image(folder / name), read_rgb_uint8(folder / name)
    assert read_size(folder / name) == pixels.shape[:2] == (48, 64)
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_allclose(image.rgb, expected / 255, atol=1e-6)
    assert image.rgb.mean() == pytest.approx(0.228, abs=0.002)
    assert (image.alpha, image.gray, image.notes) == (None, False, ())


def test_a_video_after_the_end_of_a_jpeg_is_ignored(folder):
    assert b"ftyp" in (folder / "trailing_mp4.jpg").read_bytes()
    for name in SAME_JPEG:
        np.testing.assert_array_equal(read_rgb_uint8(folder / name), read_rgb_uint8(folder / "x" / "k.jpg"))


def test_a_jpeg_that_is_cut_off_is_refused(folder):
    with pytest.raises(OSError, match="truncated"):
        PillowImage.open(folder / "cut.jpg").load()
    for read in READERS[:2]:
        with pytest.raises(BadImage, match=r"cut\.jpg: cannot be decoded \(image file is truncated"):
            read(folder / "cut.jpg")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", CUT_OFF)
def test_heic_without_its_package(folder, name, read, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    line = f"HEIC, which is not read without a package: {install('pillow_heif')}, or convert it to PNG"
    with pytest.raises(BadImage) as caught:
        read(folder / name)
    assert str(caught.value) == f"{folder / name}: {line}"


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", CUT_OFF)
def test_damaged_heic(folder, name, read):
    if importlib.util.find_spec("pillow_heif") is None:
        pytest.skip("HEIC needs pillow-heif")
    with pytest.raises(BadImage, match=rf"{name}: a HEIC that is cut off or damaged"):
        read(folder / name)


def test_a_whole_folder_is_restored(folder, tmp_path, capsys):
    """Outputs have distinct names; each is the image that Pillow decodes; three files fail in one line each."""
    jobs = plan([folder], tmp_path)
    assert restore_files(lambda image: image, jobs) == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert sorted(Path(line.removeprefix("error: ").split(": ")[0]).name for line in lines) == sorted(
        ["cut.jpg", *CUT_OFF]
    )
    restored = {
        job.source.relative_to(folder).as_posix(): job.target
        for job in jobs
        if job.source.name not in {"cut.jpg", *CUT_OFF}
    }
    assert set(restored) == {*SAME_JPEG, *OTHERS}
    assert restored[UNICODE] == tmp_path / "ü é 漢字 #1%20.png"
    assert set(Counter(restored.values()).values()) == {1}
    for source, target in restored.items():
        np.testing.assert_array_equal(PillowImage.open(target), PillowImage.open(folder / source).convert("RGB"))


def test_what_is_passed_over_is_hidden_or_of_the_system(folder):
    tree = list_tree(folder / "x", lambda path: path.suffix == ".jpg")
    assert [path.name for path in tree.files] == ["k.jpg"]
    assert not tree.others


@pytest.mark.parametrize("name", ["m_tiff_o6_8.tif", "m_exif6_after_idat.png", "m_exif6.jpg"])
def test_orientation_6_is_applied_as_pillow_does(shared, name):
    with PillowImage.open(shared / "field" / "images" / name) as image:
        image.load()  # EXIF after the pixels
        assert image.getexif().get(274, 1) in (1, 6)
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert expected.shape == (64, 48, 3)
    np.testing.assert_array_equal(read_rgb_uint8(shared / "field" / "images" / name), expected)


def test_the_deep_tiff_of_orientation_6_equals_the_shallow_one(shared):
    shallow, deep = (read_image(shared / "field" / "images" / f"m_tiff_o6_{bits}.tif") for bits in (8, 16))
    np.testing.assert_allclose(deep.rgb, shallow.rgb, atol=0.51 / 255)


def test_16_bit_ppm_has_its_own_values(shared):
    path = shared / "field" / "images" / "q_ppm16.ppm"
    stored = np.frombuffer(path.read_bytes()[-48 * 64 * 6 :], ">u2").reshape(48, 64, 3)
    assert len(np.unique(stored % 257)) > 100  # not 8 bits written as 16
    np.testing.assert_allclose(read_image(path).rgb, stored / 65535, atol=1e-7)


def test_transparent_colour_is_kept_as_alpha(shared):
    path = shared / "field" / "images" / "a_trns8.png"
    expected = np.asarray(PillowImage.open(path).convert("RGBA"))
    image = read_image(path)
    np.testing.assert_allclose(image.alpha, expected[..., 3] / 255)
    assert 0 < (image.alpha == 0).mean() < 1
    np.testing.assert_allclose(image.rgb, expected[..., :3] / 255, atol=1e-6)
