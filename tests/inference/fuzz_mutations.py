"""Mutations of image files for the fuzz test: of any file, and of what a format's header claims."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

SIZES = (0, 1, 2, 255, 13_000, 30_000, 65_535, 2**31 - 1, 2**32 - 1)  # what headers claim
SIGNATURE = 8  # bytes of a PNG before its chunks

# Mutations of any file: (rng, data, all whole files) -> data


def _flip(rng: random.Random, data: bytes, _: dict[str, bytes], *, within: int | None = None) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 32))):
        made[rng.randrange(min(len(made), within or len(made)))] ^= 1 << rng.randrange(8)
    return bytes(made)


def _flip_header(rng: random.Random, data: bytes, whole: dict[str, bytes]) -> bytes:
    return _flip(rng, data, whole, within=64)


def _truncate(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def _empty(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    return data[: rng.choice((0, 1, 2, 4, 8))]


def _zeros(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    start = rng.randrange(len(data))
    stop = rng.choice((len(data), min(len(data), start + 64)))
    return data[:start] + bytes(stop - start) + data[stop:]


def _insert(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.choice((1, 3, 100))) + data[at:]


def _delete(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 3, 100)) :]


def _splice(rng: random.Random, data: bytes, whole: dict[str, bytes]) -> bytes:
    other = whole[rng.choice(sorted(whole))]
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def _number(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Writes a number that programs often mishandle at a random position."""
    kind = rng.choice(("<H", ">H", "<I", ">I"))
    number = struct.pack(kind, rng.choice(SIZES) % (1 << 8 * struct.calcsize(kind)))
    at = rng.randrange(max(1, len(data) - 4))
    return data[:at] + number + data[at + len(number) :]


MUTATIONS = [_flip, _flip_header, _truncate, _empty, _zeros, _insert, _delete, _splice, _number]


# Mutations that keep a format's frame, so that they get further into its decoder


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(name, content) of each."""
    chunks, at = [], SIGNATURE
    while at < len(data):
        length = struct.unpack_from(">I", data, at)[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A file with correct checksums."""
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _png_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    if not data.startswith(b"\x89PNG"):
        return data
    (_, header), *rest = png_chunks(data)
    width, height, *others = struct.unpack(">IIBBBBB", header)
    which = rng.randrange(3)
    if which:
        width, height = rng.choice(SIZES), rng.choice((height, *SIZES))
    else:
        others[:2] = rng.choice((1, 2, 4, 8, 16, 32)), rng.choice((0, 2, 3, 4, 6, 7))
    return png_of([(b"IHDR", struct.pack(">IIBBBBB", width, height, *others)), *rest])


def _png_chunk(rng: random.Random, data: bytes, whole: dict[str, bytes]) -> bytes:
    if not data.startswith(b"\x89PNG"):
        return data
    chunks = png_chunks(data)
    at = rng.randrange(len(chunks))
    name, body = chunks[at]
    match rng.randrange(4):
        case 0:
            del chunks[at]
        case 1:
            chunks.insert(rng.randrange(len(chunks)), chunks[at])
        case 2:
            chunks[at] = rng.choice((b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"gAMA", b"acTL", b"fcTL", b"iTXt")), body
        case _:
            chunks[at] = name, _flip(rng, body, whole) if body else rng.randbytes(20)
    return png_of(chunks)


def _jpeg_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    frame = max(data.find(b"\xff\xc0\0"), data.find(b"\xff\xc2\0"))
    if frame < 0:
        return data
    size = struct.pack(">HH", rng.choice(SIZES) % 65536, rng.choice(SIZES) % 65536)
    return data[: frame + 5] + size + data[frame + 9 :]


def _gif_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.choice((6, data.find(b",\0\0\0\0") + 5))
    return data[:at] + struct.pack("<HH", rng.choice(SIZES) % 65536, rng.choice(SIZES) % 65536) + data[at + 4 :]


def _webp_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.choice((4, 16, 20, 24, 26, 28))
    return data[:at] + struct.pack("<I", rng.choice(SIZES)) + data[at + 4 :]


def _bmp_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    at = rng.choice((2, 10, 14, 18, 22, 26, 28, 30, 34, 46))
    return data[:at] + struct.pack("<I", rng.choice(SIZES)) + data[at + 4 :]


def _ppm_size(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    magic = rng.choice((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF"))
    numbers = b" ".join(str(rng.choice((-1, 24, *SIZES))).encode() for _ in range(3))
    return magic + b" " + numbers + b"\n" + data[15:]


def _tiff_entry(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Another number, type, count or value in one or a few entries of the first directory."""
    made, start = bytearray(data), struct.unpack_from("<I", data, 4)[0]
    if data[:4] != b"II*\0" or start + 2 > len(data):
        return data
    count = struct.unpack_from("<H", data, start)[0]
    for _ in range(rng.choice((1, 1, 3))):
        entry = start + 2 + 12 * rng.randrange(count)
        match rng.randrange(4):
            case 0:
                struct.pack_into("<H", made, entry + 2, rng.randrange(20))
            case 1:
                struct.pack_into("<I", made, entry + 4, rng.choice(SIZES))
            case 2:
                struct.pack_into("<I", made, entry + 8, rng.choice((start, rng.randrange(len(data)), *SIZES)))
            case _:
                struct.pack_into("<I", made, start + 2 + 12 * count, rng.choice((start, rng.randrange(len(data)))))
    return bytes(made)


def _box(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Another size or type of one of the boxes of AVIF, HEIC, JPEG 2000 and JPEG XL."""
    kinds = (b"ftyp", b"meta", b"iloc", b"ispe", b"pixi", b"av1C", b"hvcC", b"colr", b"ipco", b"ipma", b"mdat", b"irot",
             b"jp2h", b"ihdr", b"jp2c", b"jxlc", b"jxlp", b"Exif")  # fmt: skip
    places = [at for kind in kinds if (at := data.find(kind)) >= 4]
    if not places:
        return data
    at, made = rng.choice(places), bytearray(data)
    match rng.randrange(3):
        case 0:
            struct.pack_into(">I", made, at - 4, rng.choice((1, 7, *SIZES)))
        case 1:
            made[at : at + 4] = rng.choice(kinds)
        case _:
            body = rng.randrange(at + 4, min(len(made), at + 40))
            made[body : body + 4] = struct.pack(">I", rng.choice(SIZES))
    return bytes(made)


def _codestream_bits(rng: random.Random, data: bytes, _: dict[str, bytes]) -> bytes:
    """Flipped bits in the first 16 bytes of a JPEG XL codestream: size, orientation, depth, channels, colours."""
    start = data.find(b"\xff\x0a")
    if start < 0:
        return data
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 4))):
        made[start + 2 + rng.randrange(min(16, len(made) - start - 2))] ^= 1 << rng.randrange(8)
    return bytes(made)


STRUCTURED: dict[str, list[Callable[[random.Random, bytes, dict[str, bytes]], bytes]]] = {
    "png": [_png_size, _png_chunk],
    "jpg": [_jpeg_size],
    "gif": [_gif_size],
    "webp": [_webp_size],
    "bmp": [_bmp_size],
    "ppm": [_ppm_size],
    "pgm": [_ppm_size],
    "tif": [_tiff_entry],
    "dng": [_tiff_entry],
    "pbm": [_ppm_size],
    "avif": [_box],
    "heic": [_box],
    "jp2": [_box],
    "jxl": [_box, _codestream_bits],
}
