from __future__ import annotations

import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from ultrabm_jax.image import BadImage, read_rgb_uint8, read_size

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(path, pixels, mode=None, **options):
    Image.fromarray(pixels, mode).save(path, **options) if mode else Image.fromarray(pixels).save(path, **options)
    return path


def test_lossless_colour_is_read_exactly(tmp_path):
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


def test_palette_images_are_read_as_their_colours(tmp_path):
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
    with pytest.raises(BadImage, match=r"a\.png: not an image in any known format"):
        read_rgb_uint8(tmp_path / "a.png")
    with pytest.raises(BadImage, match=r"b\.png: no such file"):
        read_rgb_uint8(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"")
    with pytest.raises(BadImage, match=r"c\.png"):
        read_size(tmp_path / "c.png")
    with pytest.raises(BadImage, match=r"d\.tif: .*floating-point"):
        read_rgb_uint8(save(tmp_path / "d.tif", np.ones((3, 3), np.float32)))


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "an empty file"),
        (bytes(100), "begins with zeros only: an incomplete copy"),
        (b"\n<!DOCTYPE html><title>404", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"PK\3\4" + bytes(50), "a ZIP archive"),
        (b"\0\0\0\x18ftypheic", "HEIC, which is not read without a package"),
        (b"\x89PNG\r\n\x1a\n", "a PNG that is cut off"),
        (b"II*\0\xff\xff\0\0", "a TIFF that is cut off"),
    ],
)
def test_file_type_is_guessed(tmp_path, monkeypatch, head, reason):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    (tmp_path / "a.png").write_bytes(head)
    with pytest.raises(BadImage, match=rf"a\.png: .*{reason}"):
        read_rgb_uint8(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.png", {}), ("b.png", {"compress_level": 0}), ("a.webp", {"lossless": True}), ("b.webp", {}), ("a.jpg", {})],
)
def test_a_file_whose_second_half_is_zeros_is_refused(tmp_path, name, options):
    # As an interrupted copy leaves it: full size, so nothing is missing. Pillow decodes the PNGs and WebPs.
    y, x = np.mgrid[:120, :160]
    path = save(tmp_path / name, np.stack([x, y, x + y], 2).astype(np.uint8), **options)
    whole = path.read_bytes()
    for part in (0.4, 0.6, 0.8):
        kept = int(len(whole) * part)
        path.write_bytes(whole[:kept] + bytes(len(whole) - kept))
        with pytest.raises(BadImage, match=name):
            read_rgb_uint8(path)
    path.write_bytes(whole)
    read_rgb_uint8(path)


def test_flipped_bit_of_a_png_is_detected(tmp_path):
    path = save(tmp_path / "a.png", np.tile(RGB, (9, 9, 1)))
    whole = bytearray(path.read_bytes())
    for at in range(60, len(whole) - 12, len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(BadImage, match=r"checksum|cannot be decoded"):
            read_rgb_uint8(path)


def test_bytes_after_the_end_are_ignored(tmp_path):
    for name in ("a.png", "a.jpg", "a.bmp"):
        path = save(tmp_path / name, RGB)
        expected = read_rgb_uint8(path)
        path.write_bytes(path.read_bytes() + b"motion photo" * 50)
        np.testing.assert_array_equal(read_rgb_uint8(path), expected)


def test_content_and_not_the_extension_determines_the_format(tmp_path):
    expected = read_rgb_uint8(save(tmp_path / "a.jpg", RGB))
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb_uint8(tmp_path / "a.png"), expected)
    Image.fromarray(RGB).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "b.png")  # Pillow would start Ghostscript
    for read in (read_rgb_uint8, read_size):
        with pytest.raises(BadImage, match="EPS is not read"):
            read(tmp_path / "b.png")


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.webp"])
def test_first_frame_of_an_animation_is_read(tmp_path, name):
    flat = [Image.new("RGB", (9, 6), colour) for colour in ((200, 10, 30), (0, 0, 0))]
    options = {"lossless": True} if name == "a.webp" else {}
    flat[0].save(tmp_path / name, save_all=True, append_images=flat[1:], **options)
    assert (read_rgb_uint8(tmp_path / name) == (200, 10, 30)).all()
    assert read_size(tmp_path / name) == (6, 9)


@pytest.mark.filterwarnings("error")
def test_modes_that_become_rgb(tmp_path):
    smooth = (np.mgrid[:6, :9].sum(0) * 16)[..., None].repeat(3, 2).astype(np.uint8)
    image = Image.fromarray(smooth)
    palette = image.quantize(16)
    palette.save(tmp_path / "p.png", transparency=b"\0\x80\xff")
    np.testing.assert_array_equal(read_rgb_uint8(tmp_path / "p.png"), np.asarray(palette.convert("RGB")))
    image.convert("1").save(tmp_path / "1.png")
    assert set(np.unique(read_rgb_uint8(tmp_path / "1.png"))) == {0, 255}
    for name, mode, error in (("y.tif", "YCbCr", 2), ("k.jpg", "CMYK", 6)):
        image.convert(mode).save(tmp_path / name)
        assert np.abs(read_rgb_uint8(tmp_path / name).astype(int) - smooth).max() <= error
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    ImageCms.applyTransform(image, lab).save(tmp_path / "l.tif")
    assert np.abs(read_rgb_uint8(tmp_path / "l.tif").astype(int) - smooth).max() <= 3


def test_32_bits_are_refused_even_if_the_values_fit(tmp_path):
    with pytest.raises(BadImage, match="32-bit"):
        read_rgb_uint8(save(tmp_path / "a.tif", RGB[..., 0].astype(np.int32)))
    np.testing.assert_array_equal(
        read_rgb_uint8(save(tmp_path / "b.tif", RGB[..., 0].astype(np.uint16) * 257))[..., 0], RGB[..., 0]
    )


def test_a_progressive_jpeg_cut_in_the_middle(tmp_path):
    path = save(tmp_path / "a.jpg", np.tile(RGB, (20, 20, 1)), progressive=True)
    whole = path.read_bytes()
    assert read_rgb_uint8(path).shape == (120, 180, 3)
    for part in (0.3, 0.6, 0.95):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(BadImage, match=r"a\.jpg"):
            read_rgb_uint8(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", RGB)
    for limit in (26, 10):  # 54 pixels are above twice either limit, where Pillow raises
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(BadImage, match="bomb"):
            read_rgb_uint8(path)
        with pytest.raises(BadImage, match="bomb"):
            read_size(path)
