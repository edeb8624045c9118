"""The segments of a JPEG file, found without decoding it (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
LOSSLESS, JPEG_LS = 0xC3, 0xF7  # starts of frame
# Start of frame: Huffman-coded, baseline, extended and progressive.
START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2})
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")  # not a stuffed byte, a restart or padding
SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # begins with a literal: found ten times as fast
JPEG_START = b"\xff\xd8\xff"
BLOCK = 8  # samples


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


def unsupported_kind(data: bytes) -> str | None:
    """What kind of JPEG a file is, and how to convert it, if it is one that Pillow does not decode."""
    for kind, offset in segments_of(data):
        if kind == JPEG_LS:
            return "a JPEG-LS, which is not read; convert it to PNG (imagecodecs.jpegls_decode)"
        if kind in START_OF_FRAME or kind == LOSSLESS:
            bits = data[offset + 2] if offset + 2 < len(data) else 8
            return None if bits == 8 else f"a {bits}-bit JPEG, which is not read; convert it to 16-bit PNG"
    return None


def is_complete(segments: list[Segment]) -> bool:
    """Whether the segments lead to the end-of-image marker. libjpeg fills missing data with gray and only warns."""
    return bool(segments) and segments[-1].kind == END_OF_IMAGE


def cut_height(data: bytes, segments: list[Segment], *, rows: int) -> bytes:
    """The file with a smaller height in its header, of which libjpeg decodes the first `rows` as in the whole image.

    libjpeg skips what is left of each scan. The chroma of the last row that it decodes lacks a neighbour below, so one
    row of blocks more than needed is decoded.
    """
    frames = [segment.offset for segment in segments if segment.kind in START_OF_FRAME]
    if len(frames) != 1:
        return data
    at = frames[0] + 3  # after the length and the depth
    components = data[at + 4]
    block = BLOCK * max(data[at + 6 + 3 * k] & 15 for k in range(components))
    height = (-(-rows // block) + 1) * block
    if height >= int.from_bytes(data[at : at + 2], "big"):
        return data
    return data[:at] + height.to_bytes(2, "big") + data[at + 2 :]
