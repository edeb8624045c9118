"""What the headers of PSD, QOI and TGA files state that Pillow does not take into account."""

from __future__ import annotations

from typing import BinaryIO

from ultrabm_jax.image.bad_image import Refused

PSD_CHANNELS, PSD_MODE, PSD_GRAY = 12, 24, 1  # two offsets and a mode
PSD_KINDS = {0: "bitmap", 7: "multichannel", 8: "duotone", 9: "Lab"}  # that Pillow decodes to wrong colours
QOI_COLOUR_SPACE, QOI_LINEAR = 13, 1  # an offset and a value
TGA_DESCRIPTOR, ALPHA_BITS = 17, 0x0F


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
    position = file.tell()
    file.seek(offset)
    data = file.read(length)
    file.seek(position)
    return int.from_bytes(data, "big")
