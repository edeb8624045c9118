"""JPEG XL files: the header is read here, the pixels are decoded by imagecodecs (libjxl).

A file is a bare codestream, or boxes of which `jxlc`, or all `jxlp` together, hold the codestream. Its header states
the size, the orientation, the depth, the channels and the colour encoding. EXIF's orientation does not count.
Source: ISO/IEC 18181-1 (codestream), annexes A to E; 18181-2 (boxes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.codecs import codec
from ultrabm_jax.image.samples import Samples, split, unpremultiplied

CODESTREAM, BOXES = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height
HEADER_LENGTH = 1 << 14  # bytes that are searched for it
MAX_BITS = 16
ALPHA, SPOT_COLOUR, CFA = 0, 2, 5  # kinds of extra channels
GRAY = 1  # colour space; 0 is RGB, 2 XYB
CUSTOM, D65 = 2, 1  # white points
SRGB_PRIMARIES, SRGB_TRANSFER, OTHERS = 1, 13, 0  # as ITU-T H.273 numbers them
# Distributions of U32: ((offset, bits), ...), chosen by two bits.
SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))
ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
PREVIEW_BY_8, PREVIEW = ((16, 0), (32, 0), (1, 5), (33, 9)), ((1, 6), (65, 8), (321, 10), (1345, 12))
COORDINATE = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))


@dataclass(frozen=True)
class Header:
    """What the codestream says of its pixels. width and height are as stored, before the orientation is applied."""

    width: int
    height: int
    orientation: int = 1  # EXIF's number
    animated: bool = False
    bits: int = 8
    gray: bool = False
    alpha: bool = False
    premultiplied: bool = False
    refused: str = ""  # why the pixels are not decoded
    icc: bool = False  # whether a profile, which is not read, defines the colours
    primaries: int = SRGB_PRIMARIES  # as ITU-T H.273 numbers them; 0: others
    transfer: int = SRGB_TRANSFER
    gamma: float | None = None  # instead of `transfer`: the values are light**gamma


class _Bits:
    """Reads a codestream, whose bits begin with the least significant one of each byte."""

    def __init__(self, data: bytes):
        self._value, self._length, self._position = int.from_bytes(data, "little"), 8 * len(data), 0

    def u(self, count: int) -> int:
        if self._position + count > self._length:
            raise Refused("a JPEG XL whose header is cut off")
        value = self._value >> self._position & (1 << count) - 1
        self._position += count
        return value

    def u32(self, distribution: tuple[tuple[int, int], ...]) -> int:
        offset, bits = distribution[self.u(2)]
        return offset + self.u(bits)

    def flag(self) -> bool:
        return bool(self.u(1))


def is_jpeg_xl(head: bytes) -> bool:
    """Whether a file that begins with `head` is a JPEG XL."""
    return head.startswith((CODESTREAM, BOXES))


def read_header(file: BinaryIO) -> Header:
    """The header of the codestream; decodes nothing. Raises `Refused` if there is none."""
    data = b"".join(_codestream(file))[:HEADER_LENGTH]
    if not data.startswith(CODESTREAM):
        raise Refused("a JPEG XL without a codestream; cut off or damaged")
    bits = _Bits(data[len(CODESTREAM) :])
    height, width = _size(bits)
    if bits.flag():  # all default: lossy RGB of 8 bits in sRGB
        return Header(width, height)
    return _metadata(bits, width, height)


def exif_of_boxes(file: BinaryIO) -> bytes | None:
    """The content of the Exif box, from its TIFF header on; None without one, or if it is compressed."""
    for kind, body in _boxes(file):
        if kind == b"Exif":
            return body[4 + int.from_bytes(body[:4], "big") :] or None
    return None


def decode_jpeg_xl(file: BinaryIO, header: Header) -> Samples:
    """The first frame as stored, orientation not applied."""
    if header.refused:
        raise Refused(header.refused)
    file.seek(0)
    index = 0 if header.animated else None
    values: np.ndarray = codec("imagecodecs").jpegxl_decode(file.read(), index=index, keeporientation=True)
    channels = (1 if header.gray else 3) + header.alpha
    shape = (header.height, header.width) if channels == 1 else (header.height, header.width, channels)
    if values.shape != shape or values.dtype != (np.uint8 if header.bits <= 8 else np.uint16):
        raise Refused(f"decodes to {values.dtype} {values.shape}, its header says {header.bits} bits {shape}; damaged")
    samples = split(values, peak=2**header.bits - 1)
    colour = samples.colour
    if header.premultiplied and samples.alpha is not None:
        colour = unpremultiplied(colour, samples.alpha, samples.peak)
    notes = ("first of several frames",) if header.animated else ()
    return Samples(colour, samples.alpha, peak=samples.peak, gray=header.gray, notes=notes)


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of each box; none of a bare codestream."""
    file.seek(0)
    if file.read(len(BOXES)) != BOXES:
        return
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(file.read(8), "big") - 8
        yield head[4:], file.read() if length == 0 else file.read(max(length - 8, 0))


def _codestream(file: BinaryIO) -> Iterator[bytes]:
    boxes = False
    for kind, body in _boxes(file):
        boxes = True
        if kind == b"jxlc":
            yield body
        elif kind == b"jxlp":
            yield body[4:]  # after the number of the part
    if not boxes:
        file.seek(0)
        yield file.read(HEADER_LENGTH)


def _size(bits: _Bits) -> tuple[int, int]:
    """(height, width)"""
    by_8 = bits.flag()
    height = 8 * (1 + bits.u(5)) if by_8 else bits.u32(SIZE)
    ratio = bits.u(3)
    if ratio:
        across, down = RATIOS[ratio - 1]
        return height, height * across // down
    return height, 8 * (1 + bits.u(5)) if by_8 else bits.u32(SIZE)


def _metadata(bits: _Bits, width: int, height: int) -> Header:
    orientation, animated, more = 1, False, bits.flag()
    if more:
        orientation = 1 + bits.u(3)
        if bits.flag():
            _size(bits)  # at which the image is meant to be shown
        if bits.flag():
            _skip_preview(bits)
        animated = bits.flag()
        if animated:
            _skip_animation(bits)
    depth, floating = _depth(bits)
    bits.flag()  # whether 16-bit buffers suffice
    kinds = [_extra_channel(bits) for _ in range(bits.u32(((0, 0), (1, 0), (2, 4), (1, 12))))]
    xyb = bits.flag()
    header = _with_colour(Header(width, height, orientation, animated, depth), bits)
    if floating:
        reason = "floating-point images have no defined range; convert it to 8 or 16 bits"
    elif depth > MAX_BITS:
        reason = f"{depth}-bit images have no defined range; convert it to 8 or 16 bits"
    elif len(kinds) > 1 or any(kind != ALPHA for kind, _ in kinds):
        reason = "a JPEG XL with channels other than colour and alpha; convert it to PNG"
    elif xyb and header.icc:  # libjxl then chooses the colour space
        reason = "a lossy JPEG XL with an ICC profile; convert it to PNG"
    else:
        reason = ""
    return replace(header, alpha=bool(kinds), premultiplied=any(associated for _, associated in kinds), refused=reason)


def _skip_preview(bits: _Bits) -> None:
    sides = PREVIEW_BY_8 if bits.flag() else PREVIEW
    bits.u32(sides)
    if bits.u(3) == 0:
        bits.u32(sides)


def _skip_animation(bits: _Bits) -> None:
    bits.u32(((100, 0), (1000, 0), (1, 10), (1, 30)))  # ticks
    bits.u32(((1, 0), (1001, 0), (1, 8), (1, 10)))  # per so many seconds
    bits.u32(((0, 0), (0, 3), (0, 16), (0, 32)))  # loops
    bits.flag()  # time codes


def _depth(bits: _Bits) -> tuple[int, bool]:
    """(bits per sample, whether floating-point)"""
    if bits.flag():
        depth = bits.u32(((32, 0), (16, 0), (24, 0), (1, 6)))
        bits.u(4)  # of the exponent
        return depth, True
    return bits.u32(((8, 0), (10, 0), (12, 0), (1, 6))), False


def _extra_channel(bits: _Bits) -> tuple[int, bool]:
    """(kind, whether the colours are premultiplied by it)"""
    if bits.flag():
        return ALPHA, False
    kind = bits.u32(ENUM)
    _depth(bits)
    bits.u32(((0, 0), (3, 0), (4, 0), (1, 3)))  # stored at a fraction of the size
    for _ in range(bits.u32(((0, 0), (0, 4), (16, 5), (48, 10)))):
        bits.u(8)  # of the name
    if kind == SPOT_COLOUR:
        bits.u(64)
    elif kind == CFA:
        bits.u32(((1, 0), (0, 2), (3, 4), (19, 8)))
    return kind, kind == ALPHA and bits.flag()


def _with_colour(header: Header, bits: _Bits) -> Header:
    if bits.flag():  # sRGB
        return header
    icc, space = bits.flag(), bits.u32(ENUM)
    header = replace(header, icc=icc or space > GRAY, gray=space == GRAY)
    if header.icc:
        return header
    white = bits.u32(ENUM)
    _skip_coordinates(bits, 2 if white == CUSTOM else 0)
    primaries = SRGB_PRIMARIES if header.gray else bits.u32(ENUM)
    _skip_coordinates(bits, 6 if primaries == CUSTOM else 0)
    gamma = bits.u(24) / 1e7 if bits.flag() else None
    transfer = bits.u32(ENUM) if gamma is None else OTHERS
    return replace(header, primaries=primaries if white == D65 else OTHERS, transfer=transfer, gamma=gamma)


def _skip_coordinates(bits: _Bits, count: int) -> None:
    for _ in range(count):
        bits.u32(COORDINATE)
