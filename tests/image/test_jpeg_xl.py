"""JPEG XL: depths, channels, frames, EXIF, colour encodings and damage; files are written by libjxl."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from image.making import ALPHA, RNG, SMOOTH, written
from PIL import Image as PillowImage

from ultrabm_jax.image import BadImage, read_image, read_rgb_uint8
from ultrabm_jax.image.colour import srgb_from_linear


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
def test_depths_of_jpeg_xl(tmp_path, bits):
    deep = np.rint(SMOOTH / 255 * (2**bits - 1)).astype(np.uint16)
    data = imagecodecs.jpegxl_encode(deep, lossless=True, bitspersample=bits, transfer=13)
    image = read_image(written(tmp_path / "a.jxl", data))
    np.testing.assert_allclose(image.rgb * (2**bits - 1), deep, atol=0.01)
    assert (image.bits, image.notes) == (16, ())


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize(
    ("channels", "gray"), [((0,), True), ((0, 3), True), ((0, 1, 2), False), ((0, 1, 2, 3), False)]
)
def test_channels_of_jpeg_xl(tmp_path, channels, gray, lossless):
    values = np.squeeze(np.dstack([SMOOTH, ALPHA])[..., channels])
    data = imagecodecs.jpegxl_encode(values, **({"lossless": True} if lossless else {"distance": 0.1}))
    image = read_image(written(tmp_path / "a.jxl", data))
    assert (image.gray, image.alpha is None) == (gray, len(channels) % 2 == 1)
    expected = SMOOTH[..., :1] if gray else SMOOTH
    tolerance = 1e-3 if lossless else 1.5 if gray else 6.5  # of 255; the lossy encoder's own errors are 1 and 6
    np.testing.assert_allclose(image.rgb * 255, np.broadcast_to(expected, SMOOTH.shape), atol=tolerance)
    if image.alpha is not None:
        np.testing.assert_allclose(image.alpha * 255, ALPHA, atol=1e-3)


def test_first_frame_and_exif_of_jpeg_xl(tmp_path):
    frames = imagecodecs.jpegxl_encode(np.stack([SMOOTH, SMOOTH[::-1], SMOOTH // 2]), lossless=True)
    image = read_image(written(tmp_path / "a.jxl", frames))
    np.testing.assert_allclose(image.rgb * 255, SMOOTH, atol=1e-3)
    assert image.notes == ("first of several frames",)
    exif = PillowImage.Exif()
    exif.update({271: "Camera", 274: 6})  # which JPEG XL ignores
    body = struct.pack(">I", 0) + exif.tobytes()[6:]
    boxes = imagecodecs.jpegxl_encode(SMOOTH, lossless=True, usecontainer=True)
    image = read_image(written(tmp_path / "b.jxl", boxes + struct.pack(">I", len(body) + 8) + b"Exif" + body))
    kept = PillowImage.Exif()
    kept.load(image.exif)
    assert dict(kept) == {271: "Camera"}
    np.testing.assert_allclose(image.rgb * 255, SMOOTH, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"transfer": 8}, "transfer 8 by its header, converted to sRGB"),
        ({"primaries": 9, "transfer": 16}, "primaries 9 and transfer 16 by its header; taken to be sRGB"),
        ({}, None),
    ],
)
def test_colour_space_of_jpeg_xl_is_converted_or_noted(tmp_path, options, note):
    image = read_image(written(tmp_path / "a.jxl", imagecodecs.jpegxl_encode(SMOOTH, lossless=True, **options)))
    assert image.notes == (() if note is None else (note,))
    expected = srgb_from_linear(SMOOTH / 255) if note and "converted" in note else SMOOTH / 255
    np.testing.assert_allclose(image.rgb, expected, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("container", [False, True])
def test_damaged_jpeg_xl_is_refused(tmp_path, part, container):
    data = imagecodecs.jpegxl_encode(RNG.integers(0, 256, (64, 64, 3), np.uint8), lossless=True, usecontainer=container)
    with pytest.raises(BadImage, match=r"a\.jxl: "):
        read_image(written(tmp_path / "a.jxl", data[: int(part * len(data))]))
    floats = imagecodecs.jpegxl_encode((SMOOTH / 255).astype(np.float32), lossless=True)
    with pytest.raises(BadImage, match=r"a\.jxl: floating-point images have no defined range"):
        read_image(written(tmp_path / "a.jxl", floats))


@pytest.mark.parametrize("name", ["a.heic", "a.png"])
def test_jpeg_xl_is_read_under_any_name(tmp_path, name):
    pixels = read_rgb_uint8(written(tmp_path / name, imagecodecs.jpegxl_encode(SMOOTH, lossless=True)))
    np.testing.assert_array_equal(pixels, SMOOTH)
