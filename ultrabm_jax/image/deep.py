"""Decodes more than 8 bits per sample, which Pillow would reduce to 8: PNG, PNM, JPEG 2000, AVIF, HEIC.

TIFF: tiff.py; JPEG XL: jpeg_xl.py.
"""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np
from PIL import Image

from ultrabm_jax.image import png_chunks
from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.codecs import codec
from ultrabm_jax.image.heif_boxes import avif_bits, is_cropped
from ultrabm_jax.image.samples import Samples, split

# "P5" or "P6" (binary), "P2" or "P3" (text), then width, height and the value of white; comments in between.
PNM = re.compile(rb"P([2356])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
PNM_HEADER = 1 << 16  # bytes that are searched for it
CMYK = b"colr\1\0\0\0\0\0\x0c"  # colour specification box: enumerated colour space 12
SIZ = b"\xff\x4f\xff\x51"  # JPEG 2000: start of the codestream, and the marker with the size and the depths


def decode_deep(file: BinaryIO, format: str, pillow: Image.Image) -> Samples | None:
    """The stored samples, or None where Pillow decodes all of them: 8 bits per sample or fewer."""
    if format == "PNG" and png_chunks.bits_of(file) == 16:
        return split(codec("imagecodecs").png_decode(_whole(file)), peak=65535)
    if format == "PPM":
        return _decode_pnm(file)
    if format == "JPEG2000":
        return _decode_jpeg_2000(file)
    if format == "AVIF":
        return _decode_avif(file)
    if format == "HEIF":
        return _decode_heic(file, pillow)
    return None


def _whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _decode_pnm(file: BinaryIO) -> Samples | None:
    position = file.tell()
    file.seek(0)
    header = PNM.match(file.read(PNM_HEADER))
    if header is None or not 0 < int(header[4]) < 65536 or int(header[4]) == 255:  # Pillow rounds to 255 as white
        file.seek(position)
        return None
    kind, width, height, peak = (int(value) for value in header.groups())
    channels = 3 if kind in (3, 6) else 1
    count = width * height * channels
    file.seek(header.end())
    stored = np.dtype(np.uint8 if peak < 256 else ">u2")
    values: np.ndarray
    if kind >= 5:
        values = np.frombuffer(file.read(stored.itemsize * count), stored)
    else:
        values = np.array(re.sub(rb"#[^\n]*", b"", file.read()).split()[:count], np.uint16)
    if values.size < count:
        raise Refused("cut off: fewer samples than its header says")
    if values.max(initial=0) > peak:
        raise Refused(f"holds values above {peak}, which its header says is white")
    return split(values.astype(np.uint16).reshape(height, width, channels), peak=peak)


def _decode_jpeg_2000(file: BinaryIO) -> Samples | None:
    position = file.tell()
    data = _whole(file)
    start = data.find(SIZ)
    depths = _depths(data[start + 4 :]) if start >= 0 else [7]
    boxes = data[: max(start, 0)]
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

    Pillow ignores the box (ISO/IEC 15444-1, I.5.3.6). Raises `Refused` for premultiplied alpha.
    """
    start = boxes.find(b"cdef") + 4
    if start < 4:
        return False
    count = int.from_bytes(boxes[start : start + 2], "big")
    numbers = np.frombuffer(boxes, ">u2", 3 * count, start + 2).reshape(-1, 3)
    if (numbers[:, 1] == 2).any():
        raise Refused("JPEG 2000 with premultiplied alpha; convert it to PNG")
    return any(
        (kind == 0 and association != channel + 1) or (kind == 1 and channel != count - 1)
        for channel, kind, association in numbers.tolist()
    )


def _depths(siz: bytes) -> list[int]:
    """For each component, bits - 1, plus 128 if signed (ISO/IEC 15444-1, A.5.1)."""
    count = int.from_bytes(siz[36:38], "big")
    return [siz[38 + 3 * k] for k in range(count)]


def _decode_avif(file: BinaryIO) -> Samples | None:
    if is_cropped(file):
        raise Refused("an AVIF with a clap box, which crops it; crop it and save it again")
    bits = avif_bits(file)
    return None if bits == 8 else split(codec("imagecodecs").avif_decode(_whole(file)), peak=2**bits - 1)


def _decode_heic(file: BinaryIO, pillow: Image.Image) -> Samples | None:
    """pillow-heif gives Pillow 8 bits; its own interface gives all, shifted up to 16 bits."""
    bits = pillow.info.get("bit_depth", 8)
    if bits <= 8:
        return None
    import pillow_heif

    image = pillow_heif.open_heif(_whole(file), convert_hdr_to_8bit=False)
    values = np.asarray(image) >> 16 - bits
    return split(values, peak=2**bits - 1)
