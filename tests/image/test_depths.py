"""Cells of the table in docs/formats.md: each depth of each format, with and without alpha, and deep AVIF orientations.

Files are packed here by their specification, or written by libraries that the reader does not use for them.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from image.test_table import ALPHA, HEIGHT, SMOOTH, WIDTH, written
from PIL import Image as PillowImage

from ultrabm_jax.image import BadImage, read_image, read_rgb_uint8, read_size
from ultrabm_jax.image.symmetry import FROM_EXIF, flip_rotate

BLACK_AND_WHITE = SMOOTH[..., 0] > 99


def at_depth(values: np.ndarray, peak: int) -> np.ndarray:
    return np.rint(values / 255 * peak).astype(np.uint8 if peak < 256 else np.uint16)


def check(path: Path, stored: np.ndarray, peak: int, *, alpha: np.ndarray | None = None, atol: float = 1e-6) -> None:
    """All readers give stored / peak; stored is (h, w) or (h, w, 3)."""
    expected = np.broadcast_to((stored if stored.ndim == 3 else stored[..., None]) / peak, SMOOTH.shape)
    image = read_image(path)
    np.testing.assert_allclose(image.rgb, expected, atol=atol)
    assert read_size(path) == (HEIGHT, WIDTH)
    np.testing.assert_allclose(read_rgb_uint8(path), expected * 255, atol=0.501 + 255 * atol)
    assert (image.bits, image.gray, image.notes) == (16 if peak > 255 else 8, stored.ndim == 2, ())
    if alpha is None:
        assert image.alpha is None
    else:
        np.testing.assert_allclose(image.alpha, alpha / peak, atol=atol)


def packed(values: np.ndarray, bits: int) -> bytes:
    """Samples of `bits` bits, the most significant bit first; each row starts a byte."""
    words = np.unpackbits(values.reshape(HEIGHT, -1, 1).astype(">u2").view(np.uint8), axis=-1)[..., -bits:]
    return np.packbits(words.reshape(HEIGHT, -1), axis=1).tobytes()


def tiff_by_hand(values: np.ndarray, bits: int, order: str, photometric: int) -> bytes:
    """An uncompressed TIFF of one strip (TIFF 6.0, sections 2 and 7)."""
    channels, data = 1 if values.ndim == 2 else values.shape[2], packed(values, bits)
    after = 8 + 2 + 12 * 9 + 4
    tags = [(256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, channels, after if channels > 1 else bits)]
    tags += [(259, 3, 1, 1), (262, 3, 1, photometric), (273, 4, 1, after + 2 * channels), (277, 3, 1, channels)]
    tags += [(278, 3, 1, HEIGHT), (279, 4, 1, len(data))]
    made = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}IH", 8, len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        made += struct.pack(f"{order}HHI", tag, kind, count) + struct.pack(
            *(f"{order}HH", value, 0) if short else (f"{order}I", value)
        )
    return made + bytes(4) + struct.pack(f"{order}{channels}H", *[bits] * channels) + data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", range(1, 16))
def test_tiff_of_each_depth_and_byte_order(tmp_path, bits, order):
    peak = 2**bits - 1
    rgb = at_depth(SMOOTH, peak)
    for photometric, values in ((0, peak - rgb[..., 0]), (1, rgb[..., 0]), (2, rgb)):
        if bits == 8 and order == ">":
            continue  # bytes have no order
        path = written(tmp_path / "a.tif", tiff_by_hand(values, bits, order, photometric))
        check(path, rgb if photometric == 2 else rgb[..., 0], peak)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("kind", ["unassalpha", "unspecified", None])
def test_extra_samples_of_tiff(tmp_path, bits, channels, kind):
    """Alpha by the tag, or without a tag; unspecified samples are none."""
    peak = 2**bits - 1
    colour = at_depth(SMOOTH if channels == 4 else SMOOTH[..., 0], peak)
    values = np.dstack([colour, at_depth(ALPHA, peak)])
    options = {} if bits in (8, 16) else {"bitspersample": bits}
    photometric = "rgb" if channels == 4 else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tif", values, photometric=photometric, extrasamples=[kind or "unassalpha"], **options
    )
    if kind is None:
        data = (tmp_path / "a.tif").read_bytes()
        entry = data.index(struct.pack("<HHI", 338, 3, 1))
        (tmp_path / "a.tif").write_bytes(data[:entry] + struct.pack("<HHI", 65000, 3, 1) + data[entry + 8 :])
    check(tmp_path / "a.tif", colour, peak, alpha=None if kind == "unspecified" else values[..., -1])


@pytest.mark.parametrize("peak", [1, 3, 100, 254, 255, 256, 1000, 1023, 4095, 65535])
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
def test_pnm_of_each_white(tmp_path, magic, peak):
    values = at_depth(SMOOTH if magic in ("P3", "P6") else SMOOTH[..., 0], peak)
    body = values.astype(">u2" if peak > 255 else np.uint8).tobytes()
    if magic in ("P2", "P3"):
        body = b" ".join(b"%d" % value for value in values.ravel())
    check(written(tmp_path / "a.pnm", b"%s\n%d %d\n%d\n" % (magic.encode(), WIDTH, HEIGHT, peak) + body), values, peak)


@pytest.mark.parametrize("magic", ["P1", "P4"])
def test_bitmaps_of_pbm(tmp_path, magic):
    ink = ~BLACK_AND_WHITE
    body = np.packbits(ink, axis=1).tobytes() if magic == "P4" else b" ".join(b"%d" % value for value in ink.ravel())
    check(written(tmp_path / "a.pbm", b"%s\n%d %d\n" % (magic.encode(), WIDTH, HEIGHT) + body), BLACK_AND_WHITE, 1)


@pytest.mark.parametrize(
    ("magic", "reason"), [(b"P7\n", "a PAM"), (b"PF\n", "floating-point"), (b"Pf\n", "floating-point")]
)
def test_other_portable_formats_are_named(tmp_path, magic, reason):
    with pytest.raises(BadImage, match=rf"a\.pnm: .*{reason}.*convert it"):
        read_image(written(tmp_path / "a.pnm", magic + b"2 2\n-1.0\n" + bytes(16)))


def png_by_hand(values: np.ndarray, bits: int, transparent: bytes) -> bytes:
    """PNG (third edition): gray or RGB with a transparent colour."""
    rows = packed(values, bits)
    length = len(rows) // HEIGHT
    body = zlib.compress(b"".join(b"\0" + rows[k * length : (k + 1) * length] for k in range(HEIGHT)))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 0 if values.ndim == 2 else 2, 0, 0, 0)
    chunks = [(b"IHDR", header), *([(b"tRNS", transparent)] if transparent else []), (b"IDAT", body), (b"IEND", b"")]
    parts = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(("bits", "channels"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3), (16, 3)])
def test_png_of_each_depth_with_a_transparent_colour(tmp_path, bits, channels, transparent):
    peak = 2**bits - 1
    values = at_depth(SMOOTH if channels == 3 else SMOOTH[..., 0], peak)
    colour = np.atleast_1d(values[7, 11])
    path = written(
        tmp_path / "a.png", png_by_hand(values, bits, colour.astype(">u2").tobytes() if transparent else b"")
    )
    same = (values.reshape(HEIGHT, WIDTH, channels) == colour).all(axis=-1)
    check(path, values, peak, alpha=np.where(same, 0, peak) if transparent else None)


@pytest.mark.parametrize("form", ["jp2", "j2k"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_jpeg_2000_of_each_depth(tmp_path, bits, channels, form):
    peak = 2**bits - 1
    colour, alpha = at_depth(SMOOTH if channels > 2 else SMOOTH[..., 0], peak), at_depth(ALPHA, peak)
    values = np.dstack([colour, alpha]) if channels in (2, 4) else colour
    data = imagecodecs.jpeg2k_encode(values, level=0, codecformat=form, bitspersample=bits)
    check(written(tmp_path / "a.jp2", data), colour, peak, alpha=alpha if channels in (2, 4) else None)


def test_signed_jpeg_2000_is_refused(tmp_path):
    data = imagecodecs.jpeg2k_encode((SMOOTH.astype(int) - 128).astype(np.int8), level=0, codecformat="jp2")
    with pytest.raises(BadImage, match="only unsigned components"):
        read_image(written(tmp_path / "a.jp2", data))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_each_depth(tmp_path, bits, channels):
    peak = 2**bits - 1
    colour, alpha = at_depth(SMOOTH if channels > 2 else SMOOTH[..., 0], peak), at_depth(ALPHA, peak)
    values = np.dstack([colour, alpha]) if channels in (2, 4) else colour
    data = imagecodecs.avif_encode(values, level=100, bitspersample=bits)
    check(written(tmp_path / "a.avif", data), colour, peak, alpha=alpha if channels in (2, 4) else None, atol=0.006)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def turned_avif(data: bytes, orientation: int) -> bytes:
    """The same AVIF with the properties irot and imir (ISO/IEC 23008-12, 6.5.10 and 6.5.12) of its primary item."""
    turns, mirror = {
        1: (0, None),
        2: (0, 1),
        3: (2, None),
        4: (0, 0),
        5: (1, 0),
        6: (3, None),
        7: (3, 0),
        8: (1, None),
    }[orientation]
    properties = [box(b"irot", bytes([turns]))] * (turns > 0) + (
        [] if mirror is None else [box(b"imir", bytes([mirror]))]
    )
    meta = data.index(b"meta") - 4
    start, ipma = data.index(b"ipco") - 4, data.index(b"ipma") - 4
    ipco_length, ipma_length = (struct.unpack_from(">I", data, at)[0] for at in (start, ipma))
    assert start + ipco_length == ipma
    body, count, at = data[start + 8 : ipma], 0, start + 8
    while at < ipma:
        count, at = count + 1, at + struct.unpack_from(">I", data, at)[0]
    associations = bytearray(data[ipma + 8 : ipma + ipma_length])
    assert associations[:8] == bytes([0, 0, 0, 0, 0, 0, 0, associations[7]])
    assert struct.unpack_from(">H", associations, 8)[0] == 1, "the primary item comes first"
    number = associations[10]
    added = bytes(0x80 | count + 1 + k for k in range(len(properties)))
    associations[10] += len(added)
    associations[11 + number : 11 + number] = added
    made = box(b"ipco", body + b"".join(properties)) + box(b"ipma", bytes(associations))
    growth = len(made) - ipco_length - ipma_length
    made = bytearray(data[:start] + made + data[ipma + ipma_length :])
    for parent in (meta, data.index(b"iprp") - 4):
        struct.pack_into(">I", made, parent, struct.unpack_from(">I", made, parent)[0] + growth)
    iloc = data.index(b"iloc") + 4
    assert data[iloc] == 0
    assert data[iloc + 4 : iloc + 6] == b"\x44\0", "offsets and lengths of 4 bytes, no base"
    at = iloc + 8
    for _ in range(struct.unpack_from(">H", data, iloc + 6)[0]):
        assert struct.unpack_from(">H", data, at + 4)[0] == 1
        struct.pack_into(">I", made, at + 6, struct.unpack_from(">I", made, at + 6)[0] + growth)
        at += 14
    return bytes(made)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_orientation_of_deep_avif(tmp_path, bits, orientation):
    peak = 2**bits - 1
    data = imagecodecs.avif_encode(at_depth(SMOOTH, peak), level=100, bitspersample=bits)
    path = written(tmp_path / "a.avif", turned_avif(bytes(data), orientation))
    with PillowImage.open(path) as image:  # its decoder sees that orientation
        assert image.getexif().get(274, 1) == orientation
    expected = flip_rotate(SMOOTH, FROM_EXIF[orientation])
    np.testing.assert_allclose(read_image(path).rgb, expected / 255, atol=0.008)
    assert read_size(path) == read_rgb_uint8(path).shape[:2] == expected.shape[:2]


@pytest.mark.parametrize("name", ["a.bmp", "a.dib", "a.gif", "a.ico", "a.pcx", "a.qoi", "a.sgi", "a.tga"])
def test_other_formats_of_8_bits(tmp_path, name):
    values = SMOOTH if name != "a.gif" else np.dstack([SMOOTH[..., 0]] * 3)
    if name == "a.qoi":
        (tmp_path / name).write_bytes(imagecodecs.qoi_encode(values))
    elif name == "a.ico":
        PillowImage.fromarray(values).save(tmp_path / name, sizes=[(WIDTH, HEIGHT)])
    else:
        PillowImage.fromarray(values if name != "a.gif" else values[..., 0]).save(tmp_path / name)
    np.testing.assert_array_equal(read_rgb_uint8(tmp_path / name), values)
    np.testing.assert_allclose(read_image(tmp_path / name).rgb, values / 255, atol=1e-6)
