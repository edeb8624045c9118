"""Statements of headers that Pillow or another decoder ignores: each file is made with a known right value."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from ultrabm_jax.image import BadImage, read_image, read_rgb_uint8, read_size

HEIGHT, WIDTH = 8, 12
PIXELS = np.random.default_rng(0).integers(1, 255, (HEIGHT, WIDTH, 3), np.uint8)
ALPHA = np.linspace(1, 255, HEIGHT * WIDTH).astype(np.uint8).reshape(HEIGHT, WIDTH)
XMP = b'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'


@pytest.fixture
def save(tmp_path):
    def write(name, data):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def box(kind, data):
    return struct.pack(">I", len(data) + 8) + kind + data


def jp2(channels, definitions, *, colour_space=16):
    """A JP2 whose cdef box has (channel, type, association) for each channel."""
    stream = imagecodecs.jpeg2k_encode(np.ascontiguousarray(channels), level=0, codecformat="j2k", mct=False)
    height, width, count = channels.shape
    header = box(b"ihdr", struct.pack(">IIHBBBB", height, width, count, 8 * channels.itemsize - 1, 7, 0, 0))
    header += box(b"colr", struct.pack(">BBBI", 1, 0, 0, colour_space))
    header += box(b"cdef", struct.pack(">H", count) + b"".join(struct.pack(">HHH", *each) for each in definitions))
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + box(b"jp2h", header) + box(b"jp2c", stream)


def tga(descriptor):
    pixels = np.dstack([PIXELS[..., ::-1], np.zeros_like(ALPHA)])
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, WIDTH, HEIGHT, 32, 0x20 | descriptor)
    return header + pixels.tobytes()


def psd(mode, planes, *, depth=8):
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, len(planes), HEIGHT, WIDTH, depth, mode)
    return header + bytes(12) + b"\0\0" + b"".join(plane.tobytes() for plane in planes)


def png(chunks):
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)), *chunks, (b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*parts, (b"IEND", b"")]
    )


def assert_pixels(path, expected=PIXELS):
    np.testing.assert_array_equal(np.rint(read_image(path).rgb * 255), expected)
    np.testing.assert_array_equal(read_rgb_uint8(path), expected)
    assert read_size(path) == expected.shape[:2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_jpeg_2000_channels_are_ordered_by_their_definitions(save, dtype):
    values = PIXELS[..., ::-1].astype(dtype) * (257 if dtype == np.uint16 else 1)
    assert_pixels(save("a.jp2", jp2(values, [(0, 0, 3), (1, 0, 2), (2, 0, 1)])))


def test_jpeg_2000_alpha_may_come_first(save):
    path = save("a.jp2", jp2(np.dstack([ALPHA, PIXELS]), [(0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3)]))
    assert_pixels(path)
    np.testing.assert_array_equal(np.rint(read_image(path).alpha * 255), ALPHA)


def test_jpeg_2000_premultiplied_alpha_and_deep_cmyk_are_refused(save):
    colours = [(k, 0, k + 1) for k in range(3)]
    with pytest.raises(BadImage, match="premultiplied"):
        read_image(save("a.jp2", jp2(np.dstack([PIXELS, ALPHA]), [*colours, (3, 2, 0)])))
    deep = np.dstack([PIXELS, ALPHA]).astype(np.uint16) * 257
    with pytest.raises(BadImage, match="CMYK"):
        read_image(save("b.jp2", jp2(deep, [*colours, (3, 0, 4)], colour_space=12)))


def test_tga_without_alpha_bits_is_opaque(save):
    path = save("a.tga", tga(0))
    assert_pixels(path)
    assert read_image(path).alpha is None
    assert read_image(save("b.tga", tga(8))).alpha.max() == 0


@pytest.mark.parametrize(("mode", "name"), [(7, "multichannel"), (8, "duotone"), (9, "Lab")])
def test_psd_modes_without_defined_rgb_are_refused(save, mode, name):
    planes = [PIXELS[..., k] for k in range(1 if mode == 8 else 3)]
    with pytest.raises(BadImage, match=name):
        read_image(save("a.psd", psd(mode, planes)))


def test_psd_bitmap_is_refused_and_gray_alpha_is_noted(save):
    with pytest.raises(BadImage, match="bitmap"):
        read_image(save("a.psd", psd(0, [np.zeros((HEIGHT, 2), np.uint8)], depth=1)))
    image = read_image(save("b.psd", psd(1, [PIXELS[..., 0], ALPHA])))
    np.testing.assert_array_equal(np.rint(image.rgb[..., 0] * 255), PIXELS[..., 0])
    assert image.notes == ("its alpha channel is left out",)


def test_linear_qoi_is_noted(save):
    data = bytearray(imagecodecs.qoi_encode(PIXELS))
    assert read_image(save("a.qoi", bytes(data))).notes == ()
    data[13] = 1
    assert read_image(save("b.qoi", bytes(data))).notes == ("linear by its header; taken to be sRGB",)


def test_png_of_narrow_range_is_refused(save):
    assert_pixels(save("a.png", png([(b"cICP", bytes([1, 13, 0, 1]))])))
    with pytest.raises(BadImage, match="narrow-range"):
        read_rgb_uint8(save("b.png", png([(b"cICP", bytes([1, 13, 0, 0]))])))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_orientation_of_a_tiff_may_come_from_xmp(tmp_path, dtype):
    values = PIXELS.astype(dtype) * (257 if dtype == np.uint16 else 1)
    tags = [(700, 1, len(XMP), XMP, True)]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extratags=tags, metadata=None)
    assert_pixels(tmp_path / "a.tif", np.rot90(PIXELS, -1))
    tifffile.imwrite(
        tmp_path / "b.tif", values, photometric="rgb", extratags=[*tags, (274, 3, 1, 1, True)], metadata=None
    )
    assert_pixels(tmp_path / "b.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_unspecified_extra_samples_of_a_tiff_are_not_alpha(tmp_path, dtype):
    scale = 257 if dtype == np.uint16 else 1
    other = np.full_like(ALPHA, 7)
    for kinds, expected in (((0,), None), ((0, 2), ALPHA), ((2,), ALPHA)):
        extra = [other if kind == 0 else ALPHA for kind in kinds]
        values = np.dstack([PIXELS, *extra]).astype(dtype) * scale
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=kinds, metadata=None)
        assert_pixels(tmp_path / "a.tif")
        alpha = read_image(tmp_path / "a.tif").alpha
        if expected is None:
            assert alpha is None
        else:
            np.testing.assert_array_equal(np.rint(alpha * 255), expected)


def test_tiff_palette_with_8_bit_entries_is_refused(tmp_path):
    palette = np.stack([np.arange(256)] * 3).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[..., 0], photometric="palette", colormap=palette * 257, metadata=None)
    assert_pixels(tmp_path / "a.tif", np.repeat(PIXELS[..., :1], 3, axis=-1))
    tifffile.imwrite(tmp_path / "b.tif", PIXELS[..., 0], photometric="palette", colormap=palette, metadata=None)
    with pytest.raises(BadImage, match="palette with entries of 8 bits"):
        read_image(tmp_path / "b.tif")


def test_uncompressed_ycbcr_tiff_of_narrow_range_is_refused(tmp_path):
    narrow = (16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1)
    tags = [(532, 5, 6, narrow, True), (530, 3, 2, (1, 1), True)]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="ycbcr", extratags=tags, metadata=None)
    with pytest.raises(BadImage, match="YCbCr"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("tag", [(332, 3, 1, 2, True), (336, 1, 2, (255, 0), True)], ids=["InkSet", "DotRange"])
def test_tiff_of_unknown_inks_is_refused(tmp_path, tag):
    values = np.dstack([255 - PIXELS, np.zeros_like(ALPHA)])
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="separated", metadata=None)
    assert_pixels(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", values, photometric="separated", extratags=[tag], metadata=None)
    for read in (read_image, read_rgb_uint8):
        with pytest.raises(BadImage, match="InkSet" if tag[0] == 332 else "DotRange"):
            read(tmp_path / "b.tif")


def test_tiff_of_mixed_sample_formats_is_refused(save, tmp_path):
    tags = [(1000, 3, 3, (1, 1, 2), True)]  # becomes the SampleFormat tag
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", extratags=tags, metadata=None)
    assert_pixels(tmp_path / "a.tif")
    data = (tmp_path / "a.tif").read_bytes()
    entry = struct.pack("<HHI", 1000, 3, 3)
    assert data.count(entry) == 1
    with pytest.raises(BadImage, match=r"samples of different formats \(1, 1, 2\); convert"):
        read_image(save("b.tif", data.replace(entry, struct.pack("<HHI", 339, 3, 3))))


def test_webp_in_tiff_is_read_without_messages_of_libtiff(tmp_path, capfd):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", compression="webp", metadata=None)
    assert_pixels(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def test_profile_of_another_colour_space_is_noted(tmp_path):
    profile = bytes(16) + b"CMYK" + bytes(108)
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", icc_profile=profile)
    image, notes = read_image(tmp_path / "a.jpg"), list[str]()
    read_rgb_uint8(tmp_path / "a.jpg", note=notes.append)
    assert image.icc is None
    assert image.notes == tuple(notes) == ("its colour profile (CMYK) is not applied",)


def test_deep_palette_of_jpeg_2000_is_read(save):
    """The codestream holds indices of 8 bits, the palette colours of 16 bits."""
    indices = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH, 1)
    palette = np.random.default_rng(1).integers(0, 65536, (256, 3), np.uint16)
    stream = imagecodecs.jpeg2k_encode(indices, level=0, codecformat="j2k")
    header = box(b"ihdr", struct.pack(">IIHBBBB", HEIGHT, WIDTH, 1, 7, 7, 0, 0))
    header += box(b"colr", struct.pack(">BBBI", 1, 0, 0, 16))
    header += box(b"pclr", struct.pack(">HBBBB", 256, 3, 15, 15, 15) + palette.astype(">u2").tobytes())
    header += box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, column) for column in range(3)))
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    image = read_image(save("a.jp2", start + box(b"jp2h", header) + box(b"jp2c", stream)))
    assert image.bits == 16
    np.testing.assert_array_equal(np.rint(image.rgb * 65535), palette[indices[..., 0]])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sgi_of_16_bits_is_read_whole(save, channels):
    values = np.random.default_rng(2).integers(0, 65536, (HEIGHT, WIDTH, channels), np.uint16)
    planes = np.moveaxis(values[::-1], -1, 0).astype(">u2")  # the lowest row first
    header = struct.pack(">HBBHHHH", 474, 0, 2, 2 if channels == 1 else 3, WIDTH, HEIGHT, channels)
    image = read_image(save("a.sgi", header.ljust(512, b"\0") + planes.tobytes()))
    assert image.bits == 16
    colours = min(channels, 3)
    np.testing.assert_array_equal(np.rint(image.rgb[..., :colours] * 65535), values[..., :colours])
    assert (image.alpha is not None) == (channels == 4)
    with pytest.raises(BadImage, match="cut off"):
        read_image(save("b.sgi", header.ljust(512, b"\0") + planes.tobytes()[:-2]))


def test_compressed_sgi_of_16_bits_is_refused(save):
    header = struct.pack(">HBBHHHH", 474, 1, 2, 3, WIDTH, HEIGHT, 3)
    with pytest.raises(BadImage, match="SGI of 16 bits with RLE compression"):
        read_image(save("a.sgi", header.ljust(4096, b"\0")))


def test_animated_deep_avif_gives_its_first_frame(save):
    frames = np.stack([PIXELS, 255 - PIXELS]).astype(np.uint16) * 4
    path = save("a.avif", imagecodecs.avif_encode(frames, level=100, bitspersample=10, pixelformat="444"))
    image = read_image(path)
    assert image.bits == 16
    assert image.notes == ("first of 2 frames",)
    np.testing.assert_allclose(image.rgb * 1023, frames[0], atol=16)


def test_cropped_avif_is_refused(save, tmp_path):
    Image.fromarray(PIXELS.repeat(4, 0).repeat(4, 1)).save(tmp_path / "a.avif", quality=100)
    data = (tmp_path / "a.avif").read_bytes()
    clap = box(b"clap", struct.pack(">IIIIiIiI", 32, 1, 16, 1, 0, 1, 0, 1))
    assert read_size(tmp_path / "a.avif") == (32, 48)
    with pytest.raises(BadImage, match="clap"):
        read_image(save("b.avif", data + clap))  # the boxes are found by their types
