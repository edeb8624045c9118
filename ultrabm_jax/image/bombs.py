"""Decompression bombs: small files that claim to be enormous images are refused before anything is decoded."""

from __future__ import annotations

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.formats import JPEG

# Above MANY_PIXELS, an image with more pixels per stored byte than this is a bomb. Losslessly stored noise has a few
# pixels per byte; a black 4000x3000 image has 170 as JPEG, 560 as WebP and 11,000 as AVIF.
# MANY_PIXELS exempts 4K video frames, which may be black. JPEGs are exempt up to an eighth of it: a larger one that is
# as dense was truncated.
MANY_PIXELS = 1 << 23
PIXELS_PER_BYTE = {
    "JPEG": 500, "MPO": 500, "WEBP": 2_000, "JPEG2000": 2_000, "AVIF": 20_000, "HEIF": 20_000,
    "JPEGXL": 20_000,
}  # fmt: skip
PIXELS_PER_LOSSLESS_BYTE = 200


def refuse_bomb(width: int, height: int, *, format: str, stored: int, limit: int | None) -> None:
    """Raises `Refused` if `stored` bytes of that format cannot hold an image of the size that its header claims.

    limit: the largest number of pixels that is read at all, or None (Pillow's `Image.MAX_IMAGE_PIXELS`, twice).
    """
    if min(width, height) < 1:
        raise Refused(f"has no pixels ({width}x{height})")
    if limit is not None and width * height > limit:
        raise Refused(f"more than {limit} pixels, which may be a decompression bomb; cut it into parts")
    density = PIXELS_PER_BYTE.get(format, PIXELS_PER_LOSSLESS_BYTE)
    many = MANY_PIXELS // 8 if format in JPEG else MANY_PIXELS
    if width * height > max(many, density * stored):
        raise Refused(f"claims {width}x{height} pixels in {stored} bytes; damaged, or a decompression bomb")
