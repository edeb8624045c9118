"""Decodes more than 8 bits per sample, which Pillow would reduce to 8: PNG, PNM, AVIF, HEIC, SGI, JPEG 2000.

JPEG 2000 files whose channel definitions Pillow ignores are decoded here, too. TIFF: tiff.py; JPEG XL: jpeg_xl.py.
Source for JPEG 2000: ISO/IEC 15444-1, annexes A (codestream) and I (boxes).
"""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from ultrabm_jax.image import headers
from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.codecs import codec
from ultrabm_jax.image.headers import avif_bits, heif_is_cropped
from ultrabm_jax.image.samples import Samples, split

# "P5" or "P6" (binary), "P2" or "P3" (text), then width, height and the value of white; comments in between.
PNM = re.compile(rb"P([2356])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
PNM_HEADER = 1 << 16  # bytes that are searched for it
SGI = struct.Struct(">HBBHHHH")  # magic number, compression, bytes per sample, dimensions, width, height, channels
SGI_HEADER = 512  # bytes
JP2_CMYK = b"colr\1\0\0\0\0\0\x0c"  # colour specification box: enumerated colour space 12
SIZ = b"\xff\x4f\xff\x51"  # start of the codestream, and the marker with the size and the depths
PREMULTIPLIED = 2  # channel type; 0 is colour, 1 alpha


def decode_deep(file: BinaryIO, format: str, pillow: Image.Image) -> Samples | None:
    """The stored samples, or None where Pillow decodes them rightly: most files of 8 bits per sample or fewer."""
    if format == "PNG" and headers.png_bits(file) == 16:
        return split(codec("imagecodecs").png_decode(_whole(file)), peak=65535)
    if format == "PPM":
        return _decode_pnm(file)
    if format == "JPEG2000":
        return _decode_jpeg_2000(file)
    if format == "SGI":
        return _decode_sgi(file)
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


def _decode_avif(file: BinaryIO) -> Samples | None:
    if heif_is_cropped(file):
        raise Refused("an AVIF with a clap box, which crops it; crop it and save it again")
    bits = avif_bits(file)
    if bits == 8:
        return None
    values: np.ndarray = codec("imagecodecs").avif_decode(_whole(file))
    return split(values[0] if values.ndim == 4 else values, peak=2**bits - 1)  # the first frame of an animation


def _decode_sgi(file: BinaryIO) -> Samples | None:
    """16 bits per sample: planes of big-endian numbers, the lowest row first (SGI's file format specification 1.0)."""
    position = file.tell()
    file.seek(0)
    _, compressed, width_in_bytes, dimensions, width, height, channels = SGI.unpack(file.read(SGI.size))
    if width_in_bytes != 2:
        file.seek(position)
        return None
    if compressed:
        raise Refused("an SGI of 16 bits with RLE compression, which is not read; convert it to PNG")
    channels = channels if dimensions == 3 else 1
    count = width * height * channels
    file.seek(SGI_HEADER)
    values = np.frombuffer(file.read(2 * count), ">u2")
    if len(values) < count:
        raise Refused("cut off: fewer samples than its header says")
    planes = values.reshape(channels, height, width)[:, ::-1]
    return split(np.moveaxis(planes, 0, -1).astype(np.uint16), peak=65535)


def _decode_heic(file: BinaryIO, pillow: Image.Image) -> Samples | None:
    """pillow-heif gives Pillow 8 bits; its own interface gives all, shifted up to 16 bits."""
    bits = pillow.info.get("bit_depth", 8)
    if bits <= 8:
        return None
    import pillow_heif

    image = pillow_heif.open_heif(_whole(file), convert_hdr_to_8bit=False)
    values = np.asarray(image) >> 16 - bits
    return split(values, peak=2**bits - 1)


def _decode_jpeg_2000(file: BinaryIO) -> Samples | None:
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
    if JP2_CMYK in boxes:
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
