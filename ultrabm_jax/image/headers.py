"""What the headers of image files state, found without decoding them, where Pillow does not report it.

PNG         chunks (PNG, third edition)
JPEG        segments (ITU-T T.81, annex B)
AVIF, HEIC  boxes (ISO/IEC 14496-12, 23008-12), found by their types, not by the tree that they form: a file with
            several images states one depth and one colour encoding for all of them
PSD, QOI, TGA
            fields of the header
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.codecs import crc32

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
LOSSLESS, JPEG_LS = 0xC3, 0xF7  # starts of frame
# Start of frame: Huffman-coded, baseline, extended and progressive.
START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2})
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")  # not a stuffed byte, a restart or padding
SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # begins with a literal: found ten times as fast
JPEG_START = b"\xff\xd8\xff"
AV1_CONFIGURATION = b"av1C"
NCLX = b"colrnclx"
CLEAN_APERTURE = b"\0\0\0\x28clap"  # size and type of the box
HIGH_BITDEPTH, TWELVE_BIT = 0x40, 0x20  # AV1 Codec ISO Media File Format Binding, 2.3.3
METADATA = 1 << 20  # bytes that are searched
PSD_CHANNELS, PSD_MODE, PSD_GRAY = 12, 24, 1  # two offsets and a mode
PSD_KINDS = {0: "bitmap", 7: "multichannel", 8: "duotone", 9: "Lab"}  # that Pillow decodes to wrong colours
QOI_COLOUR_SPACE, QOI_LINEAR = 13, 1  # an offset and a value
TGA_DESCRIPTOR, ALPHA_BITS = 17, 0x0F


class Chunk(NamedTuple):
    """One chunk; its data starts at `offset` of the file."""

    kind: bytes
    offset: int
    length: int


def chunks_of(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks in order, up to the end of the file."""
    offset = len(SIGNATURE)
    while True:
        file.seek(offset)
        head = file.read(8)
        if len(head) < 8:
            return
        chunk = Chunk(head[4:], offset + 8, int.from_bytes(head[:4], "big"))
        yield chunk
        offset = chunk.offset + chunk.length + 4  # the checksum


def png_is_undamaged(data: bytes) -> bool:
    """Whether the checksums of all chunks of a file are right, up to the end chunk, of which the name is enough."""
    view, offset = memoryview(data), len(SIGNATURE)
    while data[offset + 4 : offset + 8] != b"IEND":
        end = offset + 8 + int.from_bytes(view[offset : offset + 4], "big")
        if end + 4 > len(data) or crc32(view[offset + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return False
        offset = end + 4
    return True


def png_bits(file: BinaryIO) -> int:
    """Bits per sample by the header; a palette's indices have 8 at most."""
    with _position_kept(file):
        file.seek(len(SIGNATURE) + 16)
        return (file.read(1) or b"\0")[0]


def png_cicp(file: BinaryIO) -> tuple[int, int, bool] | None:
    """(colour primaries, transfer characteristics, full range) of a cICP chunk, as ITU-T H.273 numbers them."""
    with _position_kept(file):
        for kind, offset, length in chunks_of(file):
            if kind == b"IDAT":
                return None
            if kind == b"cICP" and length == 4:
                file.seek(offset)
                primaries, transfer, _, full_range = file.read(4)
                return primaries, transfer, bool(full_range)
    return None


def png_has_late_metadata(file: BinaryIO) -> bool:
    """Whether EXIF, or text that may hold EXIF or XMP, follows the pixels; Pillow reads such chunks after decoding."""
    pixels = False
    with _position_kept(file):
        for kind, _, _ in chunks_of(file):
            if kind == b"IDAT":
                pixels = True
            elif pixels and (kind == b"eXIf" or kind in TEXT):
                return True
    return False


class Segment(NamedTuple):
    """A marker; what follows it starts at `offset` of the file."""

    kind: int
    offset: int


def segments_of(data: bytes) -> Iterator[Segment]:
    """The segments in order, up to the end of the image or to where they no longer follow each other."""
    offset = 2  # after the start of image
    while marker := MARKER.match(data, offset):
        segment = Segment(marker[1][0], marker.end())
        yield segment
        if segment.kind == END_OF_IMAGE:
            return
        offset = segment.offset + int.from_bytes(data[segment.offset : segment.offset + 2], "big")
        if segment.kind == START_OF_SCAN:
            after = SCAN_END.search(data, offset)
            if after is None:
                return
            offset = after.start()


def unsupported_jpeg(data: bytes) -> str | None:
    """What kind of JPEG a file is, and how to convert it, if it is one that Pillow does not decode."""
    for kind, offset in segments_of(data):
        if kind == JPEG_LS:
            return "a JPEG-LS, which is not read; convert it to PNG (imagecodecs.jpegls_decode)"
        if kind in START_OF_FRAME or kind == LOSSLESS:
            bits = data[offset + 2] if offset + 2 < len(data) else 8
            return None if bits == 8 else f"a {bits}-bit JPEG, which is not read; convert it to 16-bit PNG"
    return None


def jpeg_is_complete(segments: list[Segment]) -> bool:
    """Whether the segments lead to the end-of-image marker. libjpeg fills missing data with gray and only warns."""
    return bool(segments) and segments[-1].kind == END_OF_IMAGE


def avif_bits(file: BinaryIO) -> int:
    """Bits per sample of an AVIF: 8, 10 or 12."""
    data = _head(file)
    start = data.find(AV1_CONFIGURATION) + len(AV1_CONFIGURATION)
    flags = data[start + 2] if len(AV1_CONFIGURATION) <= start < len(data) - 2 else 0
    return 8 if not flags & HIGH_BITDEPTH else 12 if flags & TWELVE_BIT else 10


def nclx_of(file: BinaryIO) -> tuple[int, int] | None:
    """(colour primaries, transfer characteristics) as ITU-T H.273 numbers them, if a colr box states them."""
    data = _head(file)
    start = data.find(NCLX) + len(NCLX)
    if not len(NCLX) <= start <= len(data) - 4:
        return None
    return int.from_bytes(data[start : start + 2], "big"), int.from_bytes(data[start + 2 : start + 4], "big")


def heif_is_cropped(file: BinaryIO) -> bool:
    """Whether a clap box crops an image."""
    return CLEAN_APERTURE in _head(file)


def _head(file: BinaryIO) -> bytes:
    with _position_kept(file):
        file.seek(0)
        return file.read(METADATA)


def refuse_psd_kind(file: BinaryIO) -> None:
    """Raises `Refused` for the colour modes that Pillow does not convert (Adobe Photoshop File Formats, header)."""
    kind = _number(file, PSD_MODE, 2)
    if kind in PSD_KINDS:
        raise Refused(f"a PSD of mode {PSD_KINDS[kind]}; convert it to RGB")


def header_notes(file: BinaryIO, format: str) -> tuple[str, ...]:
    """Notes on what is left out or not converted."""
    if format == "QOI" and _number(file, QOI_COLOUR_SPACE, 1) == QOI_LINEAR:
        return ("linear by its header; taken to be sRGB",)
    if format == "PSD" and _number(file, PSD_MODE, 2) == PSD_GRAY and _number(file, PSD_CHANNELS, 2) > 1:
        return ("its alpha channel is left out",)
    return ()


def tga_has_alpha(file: BinaryIO) -> bool:
    """Whether the image descriptor has alpha bits; without them, a fourth byte or a sixteenth bit is unused."""
    return bool(_number(file, TGA_DESCRIPTOR, 1) & ALPHA_BITS)


def _number(file: BinaryIO, offset: int, length: int) -> int:
    """A big-endian number of the header."""
    with _position_kept(file):
        file.seek(offset)
        return int.from_bytes(file.read(length), "big")


@contextmanager
def _position_kept(file: BinaryIO) -> Iterator[None]:
    """Restores the file position, from which Pillow continues to read."""
    position = file.tell()
    try:
        yield
    finally:
        file.seek(position)
