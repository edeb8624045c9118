"""Regions of image files have the values of the whole image, by every decoder."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.image import BadImage, Region, fast, read, read_rgb_uint8
from ultrabm_jax.image.fast import cut_height
from ultrabm_jax.image.headers import segments_of
from ultrabm_jax.image.partial_png import decode_upper_left

HEIGHT, WIDTH = 83, 61


def photo(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Smooth colours with noise, so that an encoder chooses several filters and every coefficient counts."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([3 * y, 2 * x + y, 255 - 2 * y], axis=2)
    return (smooth + np.random.default_rng(1).integers(0, 40, smooth.shape)).clip(0, 255).astype(np.uint8)


def assert_regions_agree(path: Path, *, count: int = 40) -> None:
    whole = read_rgb_uint8(path)
    height, width = whole.shape[:2]
    rng = np.random.default_rng(0)
    corners = [(0, 0, 1, 1), (height - 1, width - 1, 1, 1), (0, 0, height, width), (0, 0, height, 1), (0, 0, 1, width)]
    for _ in range(count):
        h, w = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
        corners.append((int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w))
    for top, left, h, w in corners:
        part = read_rgb_uint8(path, region=Region(top, left, h, w, of=(height, width)))
        np.testing.assert_array_equal(part, whole[top : top + h, left : left + w])
        assert part.flags.c_contiguous


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
@pytest.mark.parametrize("level", [0, 6])
def test_png_of_every_mode(tmp_path, mode, level):
    Image.fromarray(photo()).convert(mode).save(tmp_path / "a.png", compress_level=level)
    assert_regions_agree(tmp_path / "a.png")


def png(rows: bytes, *, size: tuple[int, int] = (HEIGHT, WIDTH), split: int = 1 << 30, interlace: int = 0) -> bytes:
    """An RGB PNG of filtered rows, in chunks of `split` bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    stream = zlib.compress(rows)
    parts = [chunk(b"IDAT", stream[k : k + split]) for k in range(0, len(stream), split)]
    header = struct.pack(">IIBBBBB", size[1], size[0], 8, 2, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(parts) + chunk(b"IEND", b"")


@pytest.mark.parametrize("filters", [(0,), (1,), (2,), (3,), (4,), (4, 0, 3, 2, 1)])
def test_png_of_every_filter_and_many_chunks(tmp_path, filters):
    noise = np.random.default_rng(2).integers(0, 256, (HEIGHT, 3 * WIDTH), dtype=np.uint8)
    rows = b"".join(bytes([filters[k % len(filters)]]) + row.tobytes() for k, row in enumerate(noise))
    data = png(rows, split=1000)
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(read_rgb_uint8(tmp_path / "a.png"), np.asarray(Image.open(io.BytesIO(data))))
    part = decode_upper_left(data, rows=50, columns=20)
    assert part is not None
    assert part.shape == (50, 20, 3)
    assert_regions_agree(tmp_path / "a.png")


@pytest.mark.parametrize("library", ["isal", "libdeflate"])
def test_png_that_only_the_whole_decoder_can_judge(monkeypatch, library):
    imagecodecs = pytest.importorskip("imagecodecs")
    if library == "libdeflate":
        monkeypatch.setattr(imagecodecs, "ISAL", SimpleNamespace(available=False), raising=False)
    elif not (hasattr(imagecodecs, "isal_decode") and imagecodecs.ISAL.available):
        pytest.skip("imagecodecs without ISA-L")
    rows = b"".join(b"\0" + row.tobytes() for row in photo())
    part = decode_upper_left(png(rows), rows=9, columns=7)
    np.testing.assert_array_equal(part, photo()[:9, :7])
    bad_filter = rows[: -1 - 3 * WIDTH] + b"\7" + rows[-3 * WIDTH :]
    for data in (png(rows[:-1]), png(rows + b"\0"), png(bad_filter), png(rows, interlace=1)):
        assert decode_upper_left(data, rows=9, columns=9) is None
    whole = png(rows)
    for at in (200, len(whole) // 2, len(whole) - 12 - 4 - 1):  # the last one is in the checksum of the stream
        damaged = bytearray(whole)
        damaged[at] ^= 1
        assert decode_upper_left(bytes(damaged), rows=9, columns=9) is None


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"optimize": True}])
def test_jpeg_of_every_kind(tmp_path, subsampling, options):
    Image.fromarray(photo(130, 61)).save(tmp_path / "a.jpg", quality=93, subsampling=subsampling, **options)
    assert_regions_agree(tmp_path / "a.jpg")


def test_jpeg_of_tall_blocks_gray_and_without_a_transform(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    for name, pixels, options in (
        ("tall", photo(), {"subsampling": "440"}), ("fourth", photo(), {"subsampling": "411"}),
        ("gray", photo()[..., 0], {}), ("rgb", photo(), {"outcolorspace": "rgb", "colorspace": "rgb"}),
    ):  # fmt: skip
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels), level=95, **options))
        assert_regions_agree(path)


def test_fewer_rows_of_a_jpeg_are_decoded():
    file = io.BytesIO()
    image = Image.fromarray(photo(400, 60))
    exif = Image.Exif()
    exif[0x010E] = "a frame header inside a segment \xff\xc0\0\x11\x08"
    image.save(file, "JPEG", subsampling=2, exif=exif)
    data = file.getvalue()
    segments = list(segments_of(data))
    assert Image.open(io.BytesIO(cut_height(data, segments, rows=100))).size == (60, 128)  # 7 blocks of 16, and one
    assert cut_height(data, segments, rows=385) == data


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_turned_images(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo()).save(tmp_path / name, exif=exif)
    assert_regions_agree(tmp_path / name, count=10)


def test_what_the_fast_path_leaves_to_others(tmp_path):
    image = Image.fromarray(photo())
    wide = Image.fromarray(photo()[..., 0].astype(np.uint16) * 200)
    cases = {
        "cmyk.jpg": (image.convert("CMYK"), {}), "deep.png": (wide, {}), "deep.tif": (wide, {}),
        "clear.png": (image, {"transparency": (3, 2, 255)}), "a.bmp": (image, {}), "a.gif": (image, {}),
        "moving.png": (image, {"save_all": True, "append_images": [image.rotate(90)]}),
        "a.jp2": (image, {}), "a.webp": (image, {"lossless": True}), "a.mpo": (image, {"format": "MPO"}),
    }  # fmt: skip
    for name, (source, options) in cases.items():
        source.save(tmp_path / name, **options)
        assert_regions_agree(tmp_path / name, count=10)


def test_gamma_is_converted_in_a_region(tmp_path):
    data = png(b"".join(b"\0" + row.tobytes() for row in photo()))
    body = b"gAMA" + struct.pack(">I", 100000)
    gamma = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:33] + gamma + data[33:])
    assert (read_rgb_uint8(tmp_path / "a.png") != photo()).any()
    assert_regions_agree(tmp_path / "a.png", count=10)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_damage_outside_the_region_is_refused(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(photo(300, 200)).save(path)
    whole = path.read_bytes()
    region = Region(0, 0, 8, 8, of=(300, 200))
    read_rgb_uint8(path, region=region)
    for part in (0.3, 0.6, 0.95):
        kept = int(len(whole) * part)
        for damaged in (whole[:kept], whole[:kept] + bytes(len(whole) - kept)):
            path.write_bytes(damaged)
            with pytest.raises(BadImage, match=name):
                read_rgb_uint8(path, region=region)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "turned.png"])
def test_an_image_of_another_size_is_refused(tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6 if name == "turned.png" else 1
    Image.fromarray(photo(8, 9)).save(tmp_path / name, exif=exif)
    with pytest.raises(BadImage, match=r"is .*, but its header said 10x8 before"):
        read_rgb_uint8(tmp_path / name, region=Region(0, 0, 4, 4, of=(8, 10)))


def test_the_fast_path_is_used(tmp_path, monkeypatch):
    seen = []

    def record(opened, *, extent=None):
        values = fast.decode_fast(opened, extent=extent)
        seen.append(None if values is None else values.shape)
        return values

    monkeypatch.setattr(read, "decode_fast", record)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(photo(300, 200)).save(tmp_path / name, subsampling=2)
        read_rgb_uint8(tmp_path / name, region=Region(10, 20, 30, 40, of=(300, 200)))
    assert seen == [(40, 60, 3), (64, 200, 3)]
