"""The chunks of a PNG file, found without decoding it (PNG, third edition)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})


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


def bits_of(file: BinaryIO) -> int:
    """Bits per sample by the header; a palette's indices have 8 at most."""
    with _position_kept(file):
        file.seek(len(SIGNATURE) + 16)
        return (file.read(1) or b"\0")[0]


def cicp_of(file: BinaryIO) -> tuple[int, int, bool] | None:
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


def has_late_metadata(file: BinaryIO) -> bool:
    """Whether EXIF, or text that may hold EXIF or XMP, follows the pixels; Pillow reads such chunks after decoding."""
    pixels = False
    with _position_kept(file):
        for kind, _, _ in chunks_of(file):
            if kind == b"IDAT":
                pixels = True
            elif pixels and (kind == b"eXIf" or kind in TEXT):
                return True
    return False


@contextmanager
def _position_kept(file: BinaryIO) -> Iterator[None]:
    """Restores the file position, from which Pillow continues to read."""
    position = file.tell()
    try:
        yield
    finally:
        file.seek(position)
