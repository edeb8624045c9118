from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from input_pipeline.images import BadImage, read_rgb_uint8, read_size

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(path, pixels, mode=None, **options):
    Image.fromarray(pixels, mode).save(path, **options) if mode else Image.fromarray(pixels).save(path, **options)
    return path


def test_lossless_colour_comes_back_exactly(tmp_path):
    for name, options in (("a.png", {}), ("a.webp", {"lossless": True}), ("a.bmp", {}), ("a.tif", {}), ("a.ppm", {})):
        image = read_rgb_uint8(save(tmp_path / name, RGB, **options))
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, RGB)


def test_gray_is_repeated(tmp_path):
    image = read_rgb_uint8(save(tmp_path / "a.png", RGB[..., 0]))
    np.testing.assert_array_equal(image, np.repeat(RGB[..., :1], 3, axis=2))


def test_alpha_is_dropped_not_composited(tmp_path):
    alpha = np.zeros((6, 9, 1), np.uint8)
    np.testing.assert_array_equal(read_rgb_uint8(save(tmp_path / "a.png", np.concatenate([RGB, alpha], 2))), RGB)
    gray_alpha = np.concatenate([RGB[..., :1], alpha], 2)
    np.testing.assert_array_equal(read_rgb_uint8(save(tmp_path / "b.png", gray_alpha))[..., 1], RGB[..., 0])


def test_palette_gives_its_colours(tmp_path):
    flat = np.zeros((6, 9, 3), np.uint8)
    flat[2:] = (200, 10, 30)
    path = tmp_path / "a.gif"
    Image.fromarray(flat).convert("P", palette=Image.Palette.ADAPTIVE).save(path)
    np.testing.assert_array_equal(read_rgb_uint8(path), flat)


def test_cmyk_white_and_black(tmp_path):
    ink = np.zeros((6, 9, 4), np.uint8)
    ink[3:, :, 3] = 255
    path = tmp_path / "a.tif"
    Image.fromarray(ink, "CMYK").save(path)
    image = read_rgb_uint8(path)
    assert image.shape == (6, 9, 3)
    assert (image[:3] == 255).all()
    assert (image[3:] == 0).all()


def test_16_bit_gray_is_rounded(tmp_path):
    wide = np.array([[0, 128, 129, 257, 385, 386, 65535]], np.uint16)
    image = read_rgb_uint8(save(tmp_path / "a.png", wide))
    np.testing.assert_array_equal(image[0, :, 0], [0, 0, 1, 1, 1, 2, 255])
    assert image.shape == (1, 7, 3)


def test_16_bit_colour_png_is_within_one_level(tmp_path):
    wide = RNG.integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert np.abs(read_rgb_uint8(path).astype(int) - np.rint(wide / 257)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", RGB, exif=exif)
    turned = {1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.transpose(1, 0, 2),
              6: np.rot90(RGB, -1), 7: RGB[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(RGB, 1)}  # fmt: skip
    image = read_rgb_uint8(path)
    np.testing.assert_array_equal(image, turned[orientation])
    assert read_size(path) == image.shape[:2]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp"])
def test_truncated_file_is_named(tmp_path, name):
    path = save(tmp_path / name, np.tile(RGB, (20, 20, 1)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadImage, match=name) as caught:
        read_rgb_uint8(path)
    assert "\n" not in str(caught.value)


def test_reasons(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(BadImage, match=r"a\.png: not a picture"):
        read_rgb_uint8(tmp_path / "a.png")
    with pytest.raises(BadImage, match=r"b\.png: no such file"):
        read_rgb_uint8(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"")
    with pytest.raises(BadImage, match=r"c\.png"):
        read_size(tmp_path / "c.png")
    with pytest.raises(BadImage, match=r"d\.tif: .*floating-point"):
        read_rgb_uint8(save(tmp_path / "d.tif", np.ones((3, 3), np.float32)))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", RGB)
    for limit in (50, 10):  # above the limit, where Pillow warns; above twice the limit, where it raises
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(BadImage, match="bomb"):
            read_rgb_uint8(path)
        with pytest.raises(BadImage, match="bomb"):
            read_size(path)
