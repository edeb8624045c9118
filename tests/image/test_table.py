"""The table of docs/formats.md: format x depth x orientation x alpha, each cell generated and read by all readers."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from image.making import ALPHA, HEIGHT, SMOOTH, WIDTH, written
from PIL import Image as PillowImage

from ultrabm_jax.image import BadImage, read_image, read_rgb_uint8, read_size
from ultrabm_jax.image.colour import srgb_from_linear
from ultrabm_jax.image.symmetry import FROM_EXIF, flip_rotate

RNG = np.random.default_rng(0)
LOSSLESS = 0.5
Writer = Callable[[Path, np.ndarray, bytes], None]  # path, values, EXIF


def exif_of(orientation: int) -> bytes:
    exif = PillowImage.Exif()
    exif[274] = orientation
    return exif.tobytes()


def by_pillow(**options: object) -> Writer:
    def write(path: Path, values: np.ndarray, exif: bytes) -> None:
        PillowImage.fromarray(values).save(path, exif=exif, **options)

    return write


def deep_png(path: Path, values: np.ndarray, exif: bytes) -> None:
    data = imagecodecs.png_encode(values)
    body = b"eXIf" + exif.removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])


def tiff(**options: object) -> Writer:
    def write(path: Path, values: np.ndarray, exif: bytes) -> None:
        tags = [(274, "H", 1, orientation_in(exif), True)]
        given = {"photometric": "rgb" if values.shape[-1] in (3, 4) and values.ndim == 3 else "minisblack", **options}
        if values.ndim == 3 and values.shape[-1] in (2, 4):
            given["extrasamples"] = ["unassalpha"]
        if given.get("planarconfig") == "separate":
            values = np.moveaxis(values, -1, 0)
        tifffile.imwrite(path, values, extratags=tags, **given)

    return write


def orientation_in(exif: bytes) -> int:
    loaded = PillowImage.Exif()
    loaded.load(exif)
    return loaded[274]


def jpeg_xl(path: Path, values: np.ndarray, exif: bytes) -> None:
    """libjxl writes no orientation, so it is inserted into the header (ISO/IEC 18181-1, annexes D and E)."""
    bits, alpha = 8 * values.dtype.itemsize, values.shape[-1] == 4
    data = imagecodecs.jpegxl_encode(values, lossless=True, transfer=13)
    box = data.find(b"jxlc") + 4
    data, before = (data[box:], data[: box - 8]) if box > 3 else (data, b"")
    stored = "".join(f"{byte:08b}"[::-1] for byte in data[2:])
    # A size in multiples of 8, all_default; then extra_fields, depth, buffers, extra channels, XYB, sRGB.
    extra = 14 + 1
    end = extra + 1 + (3 if bits == 8 else 9) + 1 + 2 + (0 if not alpha else 1 if bits == 8 else 17) + 1 + 1
    assert stored[extra - 1 : extra + 1] == "00"
    assert stored[end - 1 : end + 3] == "1001", "sRGB, no extensions, the default transform"
    orientation = f"{orientation_in(exif) - 1:03b}"[::-1]
    header = stored[:extra] + "1" + orientation + "000" + stored[extra + 1 : end] + "1" + "001"
    header += "0" * (-len(header) % 8)
    made = data[:2] + bytes(int(header[i : i + 8][::-1], 2) for i in range(0, len(header), 8))
    made += data[2 + -(-(end + 3) // 8) :]
    path.write_bytes(before + struct.pack(">I", len(made) + 8) + b"jxlc" + made if before else made)
    np.testing.assert_array_equal(  # libjxl itself sees that orientation
        imagecodecs.jpegxl_decode(path.read_bytes()), flip_rotate(values, FROM_EXIF[orientation_in(exif)])
    )


# name: (suffix, writer, bits, whether alpha, tolerance of 255)
CELLS: dict[str, tuple[str, Writer, int, bool, float]] = {
    "png 8": ("png", by_pillow(), 8, False, LOSSLESS),
    "png 8 alpha": ("png", by_pillow(), 8, True, LOSSLESS),
    "png 16": ("png", deep_png, 16, False, LOSSLESS),
    "png 16 alpha": ("png", deep_png, 16, True, LOSSLESS),
    "jpeg": ("jpg", by_pillow(quality=100, subsampling=0), 8, False, 3),
    "jpeg progressive": ("jpg", by_pillow(quality=100, subsampling=0, progressive=True), 8, False, 3),
    "webp lossless": ("webp", by_pillow(lossless=True), 8, False, LOSSLESS),
    "webp alpha": ("webp", by_pillow(lossless=True, exact=True), 8, True, LOSSLESS),
    "avif 8": ("avif", by_pillow(quality=100, subsampling="4:4:4"), 8, False, 3),
    "avif alpha": ("avif", by_pillow(quality=100, subsampling="4:4:4"), 8, True, 3),
    "jpeg xl 8": ("jxl", jpeg_xl, 8, False, LOSSLESS),
    "jpeg xl 8 alpha": ("jxl", jpeg_xl, 8, True, LOSSLESS),
    "jpeg xl 16": ("jxl", jpeg_xl, 16, False, LOSSLESS),
    "jpeg xl 16 alpha": ("jxl", jpeg_xl, 16, True, LOSSLESS),
    "tiff 8": ("tif", tiff(), 8, False, LOSSLESS),
    "tiff 8 alpha": ("tif", tiff(), 8, True, LOSSLESS),
    "tiff 8 planar": ("tif", tiff(planarconfig="separate"), 8, False, LOSSLESS),
    "tiff 8 lzw": ("tif", tiff(compression="lzw", predictor=True), 8, False, LOSSLESS),
    "tiff 16": ("tif", tiff(), 16, False, LOSSLESS),
    "tiff 16 alpha": ("tif", tiff(), 16, True, LOSSLESS),
    "tiff 16 big-endian": ("tif", tiff(byteorder=">"), 16, False, LOSSLESS),
    "tiff 16 bigtiff": ("tif", tiff(bigtiff=True), 16, False, LOSSLESS),
    "tiff 16 planar": ("tif", tiff(planarconfig="separate"), 16, False, LOSSLESS),
    "tiff 16 tiles": ("tif", tiff(tile=(16, 16), compression="zlib"), 16, False, LOSSLESS),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("cell", CELLS)
def test_format_depth_orientation_and_alpha(tmp_path, cell, orientation):
    suffix, write, bits, has_alpha, tolerance = CELLS[cell]
    values = np.dstack([SMOOTH, ALPHA]) if has_alpha else SMOOTH
    path = tmp_path / f"a.{suffix}"
    write(path, values.astype(np.uint16) * 257 if bits == 16 else values, exif_of(orientation))
    image, pixels = read_image(path), read_rgb_uint8(path)
    expected = flip_rotate(SMOOTH, FROM_EXIF[orientation])
    assert image.rgb.shape == pixels.shape == expected.shape
    assert read_size(path) == expected.shape[:2]
    assert (image.bits, image.gray) == (bits, False)
    np.testing.assert_allclose(image.rgb * 255, expected, atol=tolerance if tolerance > 1 else 1e-3)
    np.testing.assert_allclose(pixels, expected.astype(float), atol=tolerance if tolerance > 1 else 0)
    if has_alpha:
        np.testing.assert_allclose(image.alpha * 255, flip_rotate(ALPHA, FROM_EXIF[orientation]), atol=1e-3)
    else:
        assert image.alpha is None


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["tif", "jp2", "pgm", "avif"])
def test_depths_are_scaled_by_their_own_white(tmp_path, kind, bits):
    white = 2**bits - 1
    deep = np.rint(SMOOTH[..., 0] / 255 * white).astype(np.uint16)
    path = tmp_path / f"a.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, deep, photometric="minisblack", bitspersample=bits)
    elif kind == "jp2":
        path.write_bytes(imagecodecs.jpeg2k_encode(deep, level=0, codecformat="jp2", bitspersample=bits))
    elif kind == "pgm":
        path.write_bytes(b"P5 # white\n%d %d\n%d\n" % (WIDTH, HEIGHT, white) + deep.astype(">u2").tobytes())
    elif bits in (10, 12):
        path.write_bytes(imagecodecs.avif_encode(np.dstack([deep] * 3), level=100, bitspersample=bits))
    else:
        pytest.skip("AVIF has 8, 10 or 12 bits")
    image = read_image(path)
    assert (image.bits, image.gray) == (16, True)
    np.testing.assert_allclose(image.rgb[..., 1] * white, deep, atol=8 if kind == "avif" else 0.01)
    np.testing.assert_allclose(read_rgb_uint8(path)[..., 0], SMOOTH[..., 0], atol=2 if kind == "avif" else 0)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_white_is_zero_in_tiff(tmp_path, bits):
    values = {1: SMOOTH[..., 0] > 99, 8: SMOOTH[..., 0], 16: SMOOTH[..., 0].astype(np.uint16) * 257}[bits]
    stored = ~values if bits == 1 else (2**bits - 1 - values).astype(values.dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    expected = values / (2**bits - 1)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif").rgb[..., 2], expected, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
def test_premultiplied_alpha_is_divided_out(tmp_path, bits):
    peak, kind = 2**bits - 1, np.uint8 if bits == 8 else np.uint16
    alpha = ALPHA / 255
    stored = np.rint(np.dstack([SMOOTH / 255 * alpha[..., None], alpha]) * peak).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image.rgb * 255, SMOOTH, atol=1.01 if bits == 8 else 0.01)
    np.testing.assert_allclose(image.alpha * 255, ALPHA, atol=0.01)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (SMOOTH[..., 0].astype(np.int8), "signed 8-bit"),
        (SMOOTH[..., 0].astype(np.int16), "signed 16-bit"),
        (SMOOTH[..., 0].astype(np.int32), "32-bit"),
        (SMOOTH[..., 0].astype(np.uint32), "32-bit"),
        (SMOOTH[..., 0].astype(np.uint64), "64-bit"),
        (SMOOTH.astype(np.float16), "floating-point"),
        (SMOOTH.astype(np.float32), "floating-point"),
        (SMOOTH[..., 0].astype(np.float64), "floating-point"),
        (SMOOTH[..., 0].astype(np.complex64), "floating-point"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.dtype),
)
def test_samples_without_a_defined_white_are_refused(tmp_path, values, reason):
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if values.ndim == 3 else "minisblack")
    for read in (read_image, read_rgb_uint8):
        with pytest.raises(BadImage, match=rf"a\.tif: .*{reason}.*no defined range; convert it to 8 or 16 bits"):
            read(tmp_path / "a.tif")


def test_full_page_of_a_tiff_that_begins_with_a_thumbnail(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(SMOOTH[::4, ::4], photometric="rgb", subfiletype=1)
        writer.write(SMOOTH, photometric="rgb")
    np.testing.assert_array_equal(read_rgb_uint8(tmp_path / "a.tif"), SMOOTH)
    assert read_size(tmp_path / "a.tif") == (HEIGHT, WIDTH)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_first_of_several_pages_is_read_with_a_note(tmp_path, kind):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in (SMOOTH, SMOOTH // 2):
            writer.write(page.astype(kind) * (1 if kind == np.uint8 else 257), photometric="rgb")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image.rgb * 255, SMOOTH, atol=1e-3)
    assert image.notes == ("first of 2 frames",)


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_jpeg_is_inverted_only_with_adobes_marker(tmp_path, adobe):
    ink = np.asarray(PillowImage.fromarray(SMOOTH).convert("CMYK"))
    data = io.BytesIO()
    PillowImage.fromarray(ink if adobe else 255 - ink, "CMYK").save(data, "JPEG", quality=100)
    stored = data.getvalue()
    if not adobe:
        start = stored.index(b"\xff\xee")
        length = int.from_bytes(stored[start + 2 : start + 4], "big")
        stored = stored[:start] + stored[start + 2 + length :]
    rgb = read_rgb_uint8(written(tmp_path / "a.jpg", stored))
    np.testing.assert_allclose(rgb, SMOOTH.astype(float), atol=3)


def png_with(kind: bytes, body: bytes) -> bytes:
    data = io.BytesIO()
    PillowImage.fromarray(SMOOTH).save(data, "PNG")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data.getvalue()[:33] + chunk + data.getvalue()[33:]


BT2020 = struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)


@pytest.mark.parametrize(
    ("kind", "body", "note"),
    [
        (b"cICP", bytes([9, 16, 0, 1]), "primaries 9 and transfer 16 by its cICP chunk; taken to be sRGB"),
        (b"cICP", bytes([1, 13, 0, 1]), None),
        (b"cHRM", BT2020, "its primaries (cHRM) are not sRGB's; taken to be sRGB"),
        (b"gAMA", struct.pack(">I", 45455), None),
        (b"gAMA", struct.pack(">I", 100000), "gAMA 1, converted to sRGB"),
        (b"sRGB", b"\0", None),
    ],
)
def test_colour_space_of_a_png_is_converted_or_noted(tmp_path, kind, body, note):
    image = read_image(written(tmp_path / "a.png", png_with(kind, body)))
    assert image.notes == (() if note is None else (note,))
    expected = srgb_from_linear(SMOOTH / 255) if note and "converted" in note else SMOOTH / 255
    np.testing.assert_allclose(image.rgb, expected, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_gray_stored_as_rgb_is_gray(tmp_path, name):
    gray = np.dstack([SMOOTH[..., 0]] * 3)
    PillowImage.fromarray(gray).save(tmp_path / name)
    assert read_image(tmp_path / name).gray
    gray[3, 4] = (10, 60, 10)
    PillowImage.fromarray(np.kron(gray, np.ones((8, 8, 1), np.uint8))).save(tmp_path / name)
    assert not read_image(tmp_path / name).gray


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_heic_is_read_where_pillow_heif_is_installed(tmp_path, bits, has_alpha, orientation, monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif")
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    values = np.tile(np.dstack([SMOOTH, ALPHA]) if has_alpha else SMOOTH, (3, 2, 1))  # at least 64 pixels high
    deep = values if bits == 8 else np.rint(values / 255 * (2**bits - 1)).astype(np.uint16)
    stored = deep if bits == 8 else deep << 16 - bits
    mode = ("RGBA" if has_alpha else "RGB") + (";16" if bits > 8 else "")
    file = pillow_heif.from_bytes(mode, (2 * WIDTH, 3 * HEIGHT), stored.tobytes())
    file.save(tmp_path / "a.heic", quality=-1, chroma=444, matrix_coefficients=0, exif=exif_of(orientation))
    image = read_image(tmp_path / "a.heic")
    expected = flip_rotate(deep, FROM_EXIF[orientation]) / (2**bits - 1)
    assert image.rgb.shape[:2] == read_size(tmp_path / "a.heic") == expected.shape[:2]
    assert (image.bits, image.gray, image.notes) == (8 if bits == 8 else 16, False, ())
    np.testing.assert_allclose(image.rgb, expected[..., :3], atol=1e-6)
    np.testing.assert_allclose(read_rgb_uint8(tmp_path / "a.heic"), np.rint(expected[..., :3] * 255), atol=0)
    if has_alpha:
        np.testing.assert_allclose(image.alpha, expected[..., 3], atol=1e-6)
    else:
        assert image.alpha is None


def test_colour_space_of_avif_is_noted(tmp_path):
    deep = SMOOTH.astype(np.uint16) * 4
    data = bytearray(imagecodecs.avif_encode(deep, level=100, bitspersample=10))
    start = data.index(b"colrnclx") + 8
    assert not read_image(written(tmp_path / "a.avif", bytes(data))).notes
    data[start : start + 4] = struct.pack(">HH", 9, 16)
    image = read_image(written(tmp_path / "a.avif", bytes(data)))
    assert image.notes == ("primaries 9 and transfer 16 by its colr box; taken to be sRGB",)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_fast_decoders_give_pillows_values(tmp_path, name, mode):
    if name == "a.jpg" and mode.endswith("A"):
        pytest.skip("JPEG has no alpha")
    noise = RNG.integers(0, 256, (37, 53, 4), np.uint8)
    PillowImage.fromarray(noise).convert("RGB" if mode == "RGB" else mode).save(tmp_path / name)
    expected = np.asarray(PillowImage.open(tmp_path / name).convert("RGB"))
    np.testing.assert_array_equal(read_rgb_uint8(tmp_path / name), expected)


def test_cmyk_is_converted_by_its_profile_or_noted(tmp_path):
    ink = PillowImage.fromarray(SMOOTH).convert("CMYK")
    ink.save(tmp_path / "a.tif", icc_profile=b"\0" * 16 + b"CMYKLab " + b"\0" * 104)
    image = read_image(tmp_path / "a.tif")
    assert image.notes == ("CMYK, converted without its profile, which cannot be used",)
    assert image.icc is None
    np.testing.assert_array_equal(np.rint(image.rgb * 255), np.asarray(ink.convert("RGB")))
