"""What the boxes of AVIF and HEIC files state that their decoders do not pass on (ISO/IEC 14496-12, 23008-12).

The boxes are found by their types, not by the tree that they form: a file with several images states one depth and one
colour encoding for all of them.
"""

from __future__ import annotations

import os
from typing import BinaryIO

AV1_CONFIGURATION = b"av1C"
NCLX = b"colrnclx"
CLEAN_APERTURE = b"\0\0\0\x28clap"  # size and type of the box
HIGH_BITDEPTH, TWELVE_BIT = 0x40, 0x20  # AV1 Codec ISO Media File Format Binding, 2.3.3
METADATA = 1 << 20  # bytes that are searched


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


def is_cropped(file: BinaryIO) -> bool:
    """Whether a clap box crops an image."""
    return CLEAN_APERTURE in _head(file)


def _head(file: BinaryIO) -> bytes:
    position = file.tell()
    file.seek(0, os.SEEK_SET)
    data = file.read(METADATA)
    file.seek(position)
    return data
