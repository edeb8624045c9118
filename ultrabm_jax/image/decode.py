"""Decodes an open image file: samples at their stored depth, gray or RGB, with alpha separate.

gray, 1-bit         gray
palette, YCbCr, Lab RGB, by Pillow
CMYK                RGB (colour_space.py)
9 to 16 bits        kept
animation           the first frame, with a note
TIFF with a thumbnail first
                    the full image
32-bit, signed and floating-point samples
                    refused: they have no defined range
damaged             refused (damage.py)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.colour_space import rgb_from_cmyk, to_srgb
from ultrabm_jax.image.damage import refuse_damage
from ultrabm_jax.image.deep import decode_deep
from ultrabm_jax.image.fast import decode_fast
from ultrabm_jax.image.jpeg_xl import decode_jpeg_xl
from ultrabm_jax.image.open import OpenImage
from ultrabm_jax.image.orientation import symmetry_of
from ultrabm_jax.image.png_chunks import bits_of
from ultrabm_jax.image.samples import Samples, split
from ultrabm_jax.image.tiff import decode_page

GRAY_MODES = frozenset({"1", "L", "LA", "La"})


def decode(opened: OpenImage, *, alpha: bool = True) -> Samples:
    """All samples, upright. Without `alpha`, transparency is dropped (not composited), which is faster."""
    if opened.jpeg_xl is not None:
        samples = decode_jpeg_xl(opened.file, opened.jpeg_xl)
    else:
        samples = decode_page(opened.page) if opened.page is not None else _decode_pillow(opened, alpha=alpha)
    refuse_damage(opened.file, opened.format)
    samples = to_srgb(samples, opened)
    symmetry, notes = symmetry_of(opened)
    return replace(samples.turned(symmetry), notes=samples.notes + notes)


def _decode_pillow(opened: OpenImage, *, alpha: bool) -> Samples:
    image = opened.pillow
    assert image is not None
    deep = decode_deep(opened.file, opened.format, image)
    if deep is not None:
        return deep
    if image.mode == "F":
        raise Refused("floating-point images have no defined range; convert it to 8 or 16 bits")
    fast = decode_fast(opened)
    if fast is not None:
        return split(fast, peak=255)
    image.load()
    if image.mode.startswith("I"):
        return _decode_wide(image)
    if image.mode == "CMYK":
        image, notes = rgb_from_cmyk(image, opened.format)
        return Samples(np.asarray(image), None, peak=255, gray=False, notes=notes)
    _scale_transparent_gray(image, opened)
    transparent = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
    if not (alpha and transparent):
        image.info.pop("transparency", None)  # Pillow would warn about some kinds of it, and then drop it too
        transparent = False
    gray = image.mode in GRAY_MODES
    mode = {(True, True): "LA", (True, False): "L", (False, True): "RGBA", (False, False): "RGB"}[gray, transparent]
    return split(np.asarray(image.convert(mode)), peak=255)


def _scale_transparent_gray(image: Image.Image, opened: OpenImage) -> None:
    """A PNG's transparent gray level counts in its 2 or 4 bits; Pillow compares it with samples scaled to 8 bits."""
    level, bits = image.info.get("transparency"), bits_of(opened.file) if opened.format == "PNG" else 8
    if image.mode == "L" and isinstance(level, int) and bits in (2, 4):
        image.info["transparency"] = level * 255 // (2**bits - 1)


def _decode_wide(image: Image.Image) -> Samples:
    """Gray of modes I and I;16."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise Refused("32-bit images have no defined range; convert it to 8 or 16 bits")
    return split(values.astype(np.uint16), peak=65535)
