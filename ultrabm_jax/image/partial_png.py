"""Decodes the upper left part of an 8-bit PNG: what a random crop needs, with the values of the whole image.

A pixel of a PNG is predicted only from pixels above it and to its left. ISA-L or libdeflate decompresses the whole
stream, in less than half the time of zlib; the rows and columns that are needed are handed to libpng as a small PNG
without compression, and libpng reverses the filters.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np

from ultrabm_jax.image.codecs import adler32, codec, crc32, has_isal
from ultrabm_jax.image.headers import SIGNATURE, chunks_of

HEADER = struct.Struct(">IIBBBBB")  # width, height, bits, colour type, compression, filter method, interlace
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type; palettes are left to Pillow
LAST_FILTER = 4  # Paeth
ZLIB_HEADER = b"\x78\x01"
BLOCK = struct.Struct("<BHH")  # of a stored block: 1 if it is the last, its length, and the complement of that
STORED_LIMIT = 65535  # bytes in a block


def decode_upper_left(data: bytes, *, rows: int, columns: int) -> np.ndarray | None:
    """(rows, columns) or (rows, columns, c) uint8, or None for a file that only the whole decoder can judge.

    The stream of the whole image is decompressed and its checksum compared, so that damage is noticed wherever it is.
    """
    width, height, bits, colour, *methods = HEADER.unpack_from(data, len(SIGNATURE) + 8)
    if bits != 8 or colour not in CHANNELS or any(methods):
        return None
    stride = 1 + width * CHANNELS[colour]  # each row begins with the number of its filter
    unpacked = _decompress(b"".join(_pixel_data(data)), length=height * stride)
    if unpacked is None:
        return None
    filtered = np.frombuffer(unpacked, np.uint8).reshape(height, stride)
    length = 1 + columns * CHANNELS[colour]
    if np.any(filtered[:, 0] > LAST_FILTER) or length > STORED_LIMIT:
        return None
    header = HEADER.pack(columns, rows, bits, colour, *methods)
    small = [SIGNATURE, *_chunk(b"IHDR", header), *_chunk(b"IDAT", *_stored(filtered[:rows, :length]))]
    values: np.ndarray = codec("imagecodecs").png_decode(b"".join((*small, *_chunk(b"IEND"))))
    return values


def _stored(rows: np.ndarray) -> tuple[bytes | memoryview, ...]:
    """The parts of a zlib stream that holds (n, length) bytes without compression, a block for each row (RFC 1951)."""
    length = rows.shape[1]
    blocks = np.empty((len(rows), len(BLOCK.pack(0, 0, 0)) + length), np.uint8)
    blocks[:, :-length] = np.frombuffer(BLOCK.pack(0, length, STORED_LIMIT - length), np.uint8)
    blocks[-1, 0] = 1  # the last block
    blocks[:, -length:] = rows
    return ZLIB_HEADER, blocks.data, adler32(np.ascontiguousarray(rows).data).to_bytes(4, "big")


def _decompress(stream: bytes, *, length: int) -> bytes | None:
    """The `length` bytes of a zlib stream, or None if there are more or fewer or the stream is damaged."""
    imagecodecs, with_isal = codec("imagecodecs"), has_isal()
    decode = imagecodecs.isal_decode if with_isal else imagecodecs.deflate_decode
    error = imagecodecs.IsalError if with_isal else imagecodecs.DeflateError
    try:
        unpacked: bytes = decode(stream, out=length)
    except error:
        return None
    if len(unpacked) != length:
        return None
    if with_isal and adler32(unpacked) != int.from_bytes(stream[-4:], "big"):  # ISA-L skips it
        return None
    return unpacked


def _pixel_data(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    for kind, offset, length in chunks_of(io.BytesIO(data)):
        if kind == b"IDAT":
            yield view[offset : offset + length]
        elif kind == b"IEND":
            return


def _chunk(kind: bytes, *content: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
    checksum = 0
    for part in (kind, *content):
        checksum = crc32(part, checksum)
    length = sum(memoryview(part).nbytes for part in content)
    return struct.pack(">I", length), kind, *content, struct.pack(">I", checksum)
