"""JPEG 2000 files that Pillow would reduce to 8 bits or whose channel definitions it ignores, decoded by imagecodecs.

Source: ISO/IEC 15444-1, annexes A (codestream) and I (boxes).
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.codecs import codec
from ultrabm_jax.image.samples import Samples, split

CMYK = b"colr\1\0\0\0\0\0\x0c"  # colour specification box: enumerated colour space 12
SIZ = b"\xff\x4f\xff\x51"  # start of the codestream, and the marker with the size and the depths
PREMULTIPLIED = 2  # channel type; 0 is colour, 1 alpha


def decode_jpeg_2000(file: BinaryIO) -> Samples | None:
    """The stored samples, or None where Pillow decodes them rightly. Raises `Refused` for kinds that are not read."""
    position = file.tell()
    file.seek(0)
    data = file.read()
    start = data.find(SIZ)
    boxes = data[: max(start, 0)]
    depths = _palette_depths(boxes) or (_depths(data[start + 4 :]) if start >= 0 else [7])
    reordered = _is_reordered(boxes)
    if max(depths) < 8 and not reordered:  # depths are stored less one
        file.seek(position)
        return None
    if len(set(depths)) > 1 or max(depths) > 15:
        raise Refused(f"JPEG 2000 with depth codes {depths}; only unsigned components of one depth to 16 bits are read")
    if CMYK in boxes:
        raise Refused("JPEG 2000 in CMYK with more than 8 bits or reordered channels; convert it to RGB")
    values: np.ndarray = codec("imagecodecs").jpeg2k_decode(data)
    return split(values, peak=2 ** (depths[0] + 1) - 1)


def _is_reordered(boxes: bytes) -> bool:
    """Whether a channel definition box orders the channels other than gray or R, G, B, then alpha.

    Pillow ignores the box (I.5.3.6). Raises `Refused` for premultiplied alpha.
    """
    start = boxes.find(b"cdef") + 4
    if start < 4:
        return False
    count = int.from_bytes(boxes[start : start + 2], "big")
    numbers = np.frombuffer(boxes, ">u2", 3 * count, start + 2).reshape(-1, 3)
    if (numbers[:, 1] == PREMULTIPLIED).any():
        raise Refused("JPEG 2000 with premultiplied alpha; convert it to PNG")
    return any(
        (kind == 0 and association != channel + 1) or (kind == 1 and channel != count - 1)
        for channel, kind, association in numbers.tolist()
    )


def _palette_depths(boxes: bytes) -> list[int]:
    """For each column of a palette box (I.5.3.4), as `_depths`; empty without one."""
    _, found, box = boxes.partition(b"pclr")
    return list(box[3 : 3 + box[2]]) if found and len(box) > 2 else []


def _depths(siz: bytes) -> list[int]:
    """For each component, bits - 1, plus 128 if signed (A.5.1)."""
    count = int.from_bytes(siz[36:38], "big")
    return [siz[38 + 3 * k] for k in range(count)]
