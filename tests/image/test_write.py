"""The writer: complete files only, at the requested depth."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from image.making import COLOUR, DEEP, ICC, RNG
from PIL import Image
from PIL.ExifTags import IFD

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_image, write, write_image
from ultrabm_jax.image.write import check_folder


@pytest.mark.parametrize("bits", [8, 16])
def test_written_images_are_read_back(tmp_path, bits):
    image = DEEP.astype(np.float32) / 65535
    write_image(tmp_path / "sub" / "a.png", image, bits=bits, icc=ICC)
    loaded = read_image(tmp_path / "sub" / "a.png")
    assert loaded.bits == bits
    assert loaded.icc == ICC
    assert np.abs(loaded.rgb - image).max() <= 0.5 / (2**bits - 1) + 1e-7
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["a.png"]


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_is_written_as_a_fourth_channel(tmp_path, bits):
    image = RNG.random((4, 3, 4), np.float32)
    write_image(tmp_path / "a.png", image, bits=bits)
    loaded = read_image(tmp_path / "a.png")
    np.testing.assert_allclose(np.dstack([loaded.rgb, loaded.alpha]), image, atol=0.51 / (2**bits - 1))


def test_non_finite_values_are_not_written(tmp_path):
    with pytest.raises(UserError, match="has non-finite values"):
        write_image(tmp_path / "a.png", np.full((2, 2, 3), np.nan, np.float32))
    assert not list(tmp_path.iterdir())


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", COLOUR)
    before = (tmp_path / "a.png").read_bytes()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(tmp_path / "a.png", COLOUR[::-1])
    assert (tmp_path / "a.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", COLOUR)
    before = (tmp_path / "a.png").read_bytes()

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("ultrabm_jax.image.write.os.replace", fail)
    with pytest.raises(UserError, match=r"^the output \S+/a\.png cannot be written: No space left on device$"):
        write_image(tmp_path / "a.png", COLOUR[::-1])
    assert (tmp_path / "a.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("target", ["nowhere", "link"])
def test_a_link_that_leads_nowhere_is_no_output_folder(tmp_path, target):
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(
        UserError, match=r"^outputs cannot be written to \S+/link: a broken link; choose another folder$"
    ):
        check_folder(tmp_path / "link")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux's /proc, which takes no files")
def test_a_pseudo_file_system_is_no_output_folder():
    with pytest.raises(
        UserError, match=r"^outputs cannot be written to /proc/x/y: /proc: its file system takes no files;"
    ):
        check_folder(Path("/proc/x/y"))


def test_longest_file_name_can_be_written(tmp_path):
    name = "n" * 251 + ".png"
    write_image(tmp_path / name, COLOUR)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_metadata_is_written_in_every_format(tmp_path, name):
    exif = Image.Exif()
    exif[271], exif[306] = "Camera", "2026:01:02 03:04:05"
    write_image(tmp_path / name, COLOUR, icc=ICC, exif=exif.tobytes(), dpi=(300, 150))
    loaded = read_image(tmp_path / name)
    assert loaded.icc == ICC
    kept = Image.Exif()
    kept.load(loaded.exif)
    assert (kept[271], kept[306]) == ("Camera", "2026:01:02 03:04:05")
    if name != "a.webp":  # which has no field for it
        np.testing.assert_allclose(loaded.dpi, (300, 150), atol=0.02)  # PNG: whole dots per metre


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_metadata_is_written_with_16_bits(tmp_path, name):
    exif = Image.Exif()
    exif[271] = "Camera"
    write_image(tmp_path / name, DEEP.astype(np.float32) / 65535, bits=16, icc=ICC, exif=exif.tobytes(), dpi=(300, 300))
    loaded = read_image(tmp_path / name)
    np.testing.assert_array_equal(np.rint(loaded.rgb * 65535), DEEP)
    assert loaded.icc == ICC
    np.testing.assert_allclose(loaded.dpi, (300, 300), atol=0.02)
    kept = Image.Exif()
    kept.load(loaded.exif)
    assert dict(kept) == {271: "Camera"}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
def test_exposure_and_position_are_written(tmp_path, name, bits):
    if bits == 16 and name in ("a.jpg", "a.webp"):
        pytest.skip("8 bits only")
    exif = Image.Exif()
    exif[306] = "2026:01:02 03:04:05"
    exif.get_ifd(IFD.Exif).update({33434: (1, 30), 37510: b"ASCII\0\0\0night"})
    exif.get_ifd(IFD.GPSInfo).update({1: "N", 2: (48.0, 8.0, 30.5)})
    values = DEEP.astype(np.float32) / 65535
    write_image(tmp_path / name, values, bits=bits, icc=ICC, exif=exif.tobytes(), dpi=(300, 300))
    with Image.open(tmp_path / name) as image:
        kept = image.getexif()
        assert kept[306] == "2026:01:02 03:04:05"
        assert dict(kept.get_ifd(IFD.Exif)) == {33434: (1, 30), 37510: b"ASCII\0\0\0night"}
        assert dict(kept.get_ifd(IFD.GPSInfo)) == {1: "N", 2: (48.0, 8.0, 30.5)}
    if name == "a.tif":
        pixels = tifffile.imread(tmp_path / name)
        np.testing.assert_array_equal(pixels, DEEP if bits == 16 else np.rint(values * 255))


def test_exif_of_big_tiff(tmp_path):
    data = io.BytesIO()
    tifffile.imwrite(data, DEEP, photometric="rgb", bigtiff=True, byteorder="<", metadata=None)
    exif = Image.Exif()
    exif[271] = "Camera"
    exif.get_ifd(IFD.Exif)[33434] = (1, 30)
    (tmp_path / "a.tif").write_bytes(write._with_exif(data.getvalue(), exif.tobytes()))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].tags["Make"].value == "Camera"
        assert file.pages[0].tags["ExifTag"].value == {"ExposureTime": (1, 30)}
        np.testing.assert_array_equal(file.asarray(), DEEP)


@pytest.mark.parametrize(
    ("name", "channels", "bits", "reason"),
    [
        ("a.jpg", 4, 8, "JPEG has no transparency"),
        ("a.webp", 3, 16, "WEBP holds 8 bits"),
        ("a.gif", 3, 8, "not as '.gif'"),
        ("a", 3, 8, "not as ''"),
        ("a.png", 3, 12, "8 or 16 bits"),
    ],
)
def test_formats_refuse_what_they_cannot_hold(tmp_path, name, channels, bits, reason):
    with pytest.raises(UserError, match=reason):
        write_image(tmp_path / name, np.zeros((2, 3, channels), np.float32), bits=bits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_lossless_formats_keep_every_level_and_alpha(tmp_path, name, bits):
    image = RNG.random((6, 5, 4), np.float32)
    write_image(tmp_path / name, image, bits=bits)
    loaded = read_image(tmp_path / name)
    assert loaded.bits == bits
    np.testing.assert_allclose(np.dstack([loaded.rgb, loaded.alpha]), image, atol=0.51 / (2**bits - 1))
