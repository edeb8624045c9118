"""Damaged, inconsistent and enormous files give one line that names the file and the reason."""

from __future__ import annotations

import io
import os
import struct
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
import tifffile
from image.making import COLOUR, DEEP, RNG, saved
from PIL import Image, PngImagePlugin

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import bombs, read_image, read_rgb_uint8, read_size
from ultrabm_jax.image import read as reader
from ultrabm_jax.image.headers import png_is_undamaged


def _file(name, data):
    def make(folder):
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _png_bytes(image):
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "none.png", "no such file"),
        (lambda folder: folder, "not a file"),
        (_file("a.jpg", b"not an image"), "not an image"),
        (_file("a.png", b""), "an empty file"),
        (_file("a.png", _png_bytes(Image.fromarray(COLOUR))[:-30]), "cannot be decoded"),
        (_file("a.png", imagecodecs.png_encode(DEEP)[:120]), "cannot be decoded"),
        (lambda folder: saved(folder, Image.fromarray(COLOUR[..., 0].astype(np.float32)), "a.tif"), "floating-point"),
    ],
)
def test_bad_files_give_one_line_with_the_file_name(tmp_path, make, reason):
    path = make(tmp_path)
    with pytest.raises(UserError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (imagecodecs.jpeg8_encode(DEEP >> 4, bitspersample=12), "a 12-bit JPEG, which is not read; convert it to 16-b"),
        (imagecodecs.jpegls_encode(COLOUR), r"a JPEG-LS, which is not read; convert it to PNG \(imagecodecs"),
        (imagecodecs.ljpeg_encode(DEEP[..., 0].copy()), "a 16-bit JPEG, which is not read; convert it to 16-bit"),
        (imagecodecs.jpeg8_encode(COLOUR)[:4], "a JPEG that is cut off or damaged$"),
    ],
    ids=["12 bits", "JPEG-LS", "lossless", "cut off"],
)
def test_other_kinds_of_jpeg_are_named(tmp_path, data, reason):
    (tmp_path / "a.jpg").write_bytes(data)
    for read in (read_image, read_rgb_uint8, read_size):
        with pytest.raises(UserError, match=reason):
            read(tmp_path / "a.jpg")


def test_decompression_bomb_gives_one_line(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(COLOUR))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match="more than 20 pixels"):
        read_image(path)


def test_pipe_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match="not a file"):
        read_image(tmp_path / "a.png")


def test_small_files_of_enormous_images_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(_png_bytes(Image.new("1", (10_000, 1_000))))
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2D\1\0;"
    (tmp_path / "b.gif").write_bytes(b"GIF89a" + struct.pack("<HHBBB", 13_000, 13_000, 0x80, 0, 0) + bytes(6) + frame)
    (tmp_path / "c.ppm").write_bytes(b"P6 13000 13000 255\n" + bytes(100))
    for name in ("a.png", "b.gif", "c.ppm"):
        with pytest.raises(UserError, match=r"claims 1\d000x1\d?000 pixels in \d+ bytes"):
            read_image(tmp_path / name)
        for read in (read_rgb_uint8, read_size):
            with pytest.raises(UserError, match=r"claims 1\d000x1\d?000 pixels"):
                read(tmp_path / name)


def test_jpeg_whose_header_claims_too_many_pixels_is_refused(tmp_path):
    data = saved(tmp_path, Image.fromarray(COLOUR), "a.jpg").read_bytes()
    frame = data.index(b"\xff\xc0\0")
    (tmp_path / "a.jpg").write_bytes(data[: frame + 5] + struct.pack(">HH", 30_000, 255) + data[frame + 9 :])
    with pytest.raises(UserError, match="claims 255x30000 pixels"):
        read_image(tmp_path / "a.jpg")


def test_large_images_are_not_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(bombs, "MANY_PIXELS", 10)
    noise = RNG.normal(1, 1, (500, 400, 3)).clip(0, 255).astype(np.uint8)  # as dark as they come
    for name, options in (("a.jpg", {"quality": 70}), ("a.png", {}), ("a.webp", {}), ("b.jpg", {"progressive": True})):
        assert read_image(saved(tmp_path, Image.fromarray(noise), name, **options)).rgb.shape == (500, 400, 3)
    black = Image.new("RGB", (400, 500))
    for options in ({}, {"optimize": True}, {"progressive": True}):
        assert read_image(saved(tmp_path, black, "black.jpg", **options)).rgb.max() == 0


def test_tiff_with_more_samples_than_pixels_is_refused_before_decoding(tmp_path):
    data = io.BytesIO()
    tifffile.imwrite(data, DEEP, photometric="rgb")
    entry = data.getvalue().index(struct.pack("<HHI", 282, 5, 1))  # XResolution becomes ImageDepth
    lie = struct.pack("<HHII", 32997, 4, 1, 100_000)
    (tmp_path / "a.tif").write_bytes(data.getvalue()[:entry] + lie + data.getvalue()[entry + 12 :])
    with pytest.raises(UserError, match="claims 10500000 samples of 7x5 pixels"):
        read_image(tmp_path / "a.tif")


def test_formats_that_start_other_programs_are_refused(tmp_path):
    with pytest.raises(UserError, match="EPS is not read"):
        read_image(saved(tmp_path, Image.fromarray(COLOUR), "a.eps"))


@pytest.mark.parametrize("error", [TypeError, AttributeError, ZeroDivisionError, OverflowError, AssertionError])
def test_any_decoder_error_gives_one_line(tmp_path, monkeypatch, error):
    path = saved(tmp_path, Image.fromarray(COLOUR))

    def fail(*_, **__):
        raise error("inside")

    monkeypatch.setattr(reader, "_decode_pillow", fail)
    with pytest.raises(UserError, match=r"a\.png: cannot be decoded \(inside\)"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, read_rgb_uint8])
def test_tiff_whose_samples_have_another_size_is_refused(tmp_path, monkeypatch, read):
    """tifffile returns an empty array for some damaged directories."""
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="rgb")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page: np.empty((0, 0), np.uint16))
    with pytest.raises(UserError, match=r"a\.tif: cut off or damaged: its samples do not have the size"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("read", [read_image, read_rgb_uint8, read_size])
def test_box_that_claims_more_than_memory_is_refused(tmp_path, read):
    data = saved(tmp_path, Image.fromarray(COLOUR), "a.jp2").read_bytes()
    box = data.index(b"jp2h") - 4  # a length of 1 announces one of 8 bytes
    (tmp_path / "a.jp2").write_bytes(data[:box] + struct.pack(">I4sQ", 1, b"jp2h", 2**62) + data[box + 8 :])
    with pytest.raises(UserError, match=r"a\.jp2: "):
        read(tmp_path / "a.jp2")


@pytest.mark.parametrize("isal", [True, False])
def test_checksums_of_png_are_verified_as_pillow_does(monkeypatch, isal):
    if not isal:
        monkeypatch.setattr(imagecodecs, "ISAL", SimpleNamespace(available=False), raising=False)
    elif not (hasattr(imagecodecs, "isal_crc32") and imagecodecs.ISAL.available):
        pytest.skip("imagecodecs without ISA-L")
    info = PngImagePlugin.PngInfo()
    info.add(b"tEXt", b"Comment\0after the pixels", after_idat=True)
    data = io.BytesIO()
    Image.fromarray(COLOUR).save(data, "PNG", dpi=(72, 72), pnginfo=info)
    whole = data.getvalue()
    assert png_is_undamaged(whole)
    assert png_is_undamaged(whole + b"after the end")
    for at in range(8, len(whole)):
        flipped = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        for damaged in (whole[:at], flipped):
            assert png_is_undamaged(damaged) == _verified_by_pillow(damaged)
    assert not png_is_undamaged(whole[: whole.index(b"IEND")])


def _verified_by_pillow(data):
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError):
        return False
    return True
