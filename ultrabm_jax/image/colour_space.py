"""Colour spaces: conversion to sRGB, and notes on colours that are not converted.

CMYK            by its ICC profile, else by the plain formula; inverted only if Adobe's marker is present
PNG's gAMA      converted by sRGB's curve where no profile, sRGB or cICP chunk overrules it (PNG 3, section 4.3)
cICP of PNG, nclx of AVIF and HEIC, JPEG XL's encoding
                powers of light are converted; other curves and primaries, as PNG's cHRM, are noted: taken to be sRGB
ICC profile     of an RGB image, passed on unchanged; of a gray image, noted
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

from ultrabm_jax.image.bad_image import Refused
from ultrabm_jax.image.colour import srgb_from_linear
from ultrabm_jax.image.formats import JPEG
from ultrabm_jax.image.headers import nclx_of, png_cicp
from ultrabm_jax.image.jpeg_xl import Header
from ultrabm_jax.image.open import OpenImage
from ultrabm_jax.image.samples import Samples

SRGB_GAMMA = 1 / 2.2  # the values in files that are sRGB
GAMMA_TOLERANCE = 0.02
SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # white, red, green, blue
SRGB_CICP = (1, 13)  # BT.709 primaries, sRGB's curve
UNSPECIFIED = 2
POWERS = {4: 1 / 2.2, 5: 1 / 2.8, 8: 1.0}  # transfer characteristics that are powers of light


def rgb_profile(opened: OpenImage) -> tuple[bytes | None, tuple[str, ...]]:
    """(ICC profile of RGB values, notes)."""
    icc = opened.pillow.info.get("icc_profile") if opened.pillow is not None else None
    if icc is None and opened.page is not None:
        icc = opened.page.iccprofile
    if not isinstance(icc, bytes) or len(icc) < 20:
        return None, ()
    if icc[16:20] == b"CMYK" and opened.pillow is not None and opened.pillow.mode == "CMYK":
        return None, ()  # rgb_from_cmyk applies it
    if icc[16:20] != b"RGB ":
        return None, (f"its colour profile ({icc[16:20].decode('latin-1').strip()}) is not applied",)
    return icc, ()


@lru_cache(maxsize=16)  # the images of a data set usually have the same one
def profile_notes(icc: bytes) -> tuple[str, ...]:
    """A note if an RGB profile is not that of sRGB, for readers that do not pass it on."""
    try:
        name = " ".join(ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).split())
    except (ImageCms.PyCMSError, OSError, ValueError):
        name = "which cannot be read"
    return () if "srgb" in name.lower() else (f"its colour profile ({name}) is not applied; taken to be sRGB",)


def rgb_from_cmyk(image: Image.Image, format: str) -> tuple[Image.Image, tuple[str, ...]]:
    """A decoded CMYK image as RGB."""
    if format in JPEG and "adobe" not in image.info:
        image = _inverted(image)  # Pillow treats every CMYK JPEG as Adobe's, whose values are inverted
    icc = image.info.get("icc_profile")
    if not icc:
        return image.convert("RGB"), ()
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        rgb = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        assert rgb is not None
        return rgb, ("CMYK, converted to sRGB by its profile",)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image.convert("RGB"), ("CMYK, converted without its profile, which cannot be used",)


def _inverted(image: Image.Image) -> Image.Image:
    inverted = Image.merge("CMYK", [ImageChops.invert(band) for band in image.split()])
    inverted.info = image.info
    return inverted


def to_srgb(samples: Samples, opened: OpenImage) -> Samples:
    """Applies what the file says of its colours to the samples, or notes why it is not applied."""
    if opened.jpeg_xl is not None:
        return _from_jpeg_xl(samples, opened.jpeg_xl)
    if opened.pillow is None or ("icc_profile" in opened.pillow.info and opened.format in ("AVIF", "HEIF")):
        return samples
    if opened.format == "PNG":
        return _from_png(samples, opened.pillow.info, png_cicp(opened.file))
    if opened.format in ("AVIF", "HEIF") and (cicp := nclx_of(opened.file)):
        return _by_cicp(samples, *cicp, source="its colr box")
    return samples


# Any: the values of Pillow's `info` have many types.
def _from_png(
    samples: Samples, info: Mapping[str | tuple[int, int], Any], cicp: tuple[int, int, bool] | None
) -> Samples:
    if cicp is not None:
        primaries, transfer, full_range = cicp
        if not full_range:
            raise Refused("a PNG of narrow-range samples (cICP); convert it to full range")
        return _by_cicp(samples, primaries, transfer, source="its cICP chunk")
    if "icc_profile" in info or "srgb" in info:
        return samples
    chromaticity = info.get("chromaticity")
    if chromaticity and not np.allclose(chromaticity, SRGB_PRIMARIES, atol=0.005):
        samples = _noted(samples, "its primaries (cHRM) are not sRGB's; taken to be sRGB")
    gamma = info.get("gamma")
    return samples if not gamma else _without_gamma(samples, gamma, f"gAMA {gamma:.5g}")


def _from_jpeg_xl(samples: Samples, header: Header) -> Samples:
    if header.icc:
        return _noted(samples, "its colour profile is not applied; taken to be sRGB")
    if header.gamma is not None:
        samples = _without_gamma(samples, header.gamma, f"gamma {header.gamma:.5g}")
    transfer = header.transfer if header.gamma is None else SRGB_CICP[1]
    return _by_cicp(samples, header.primaries, transfer, source="its header")


def _by_cicp(samples: Samples, primaries: int, transfer: int, *, source: str) -> Samples:
    """Converts a power of light to sRGB's curve; other curves and primaries are noted. Numbers of ITU-T H.273."""
    if transfer in POWERS:
        samples = _without_gamma(samples, POWERS[transfer], f"transfer {transfer} by {source}")
        transfer = SRGB_CICP[1]
    if primaries in (SRGB_CICP[0], UNSPECIFIED) and transfer in (SRGB_CICP[1], UNSPECIFIED):
        return samples
    return _noted(samples, f"primaries {primaries} and transfer {transfer} by {source}; taken to be sRGB")


def _without_gamma(samples: Samples, gamma: float, what: str) -> Samples:
    """Converts samples that encode light**gamma to sRGB."""
    if abs(gamma - SRGB_GAMMA) <= GAMMA_TOLERANCE:
        return samples
    light = (np.arange(samples.peak + 1) / samples.peak) ** (1 / gamma)
    table = np.rint(srgb_from_linear(light) * samples.peak).astype(samples.colour.dtype)
    return _noted(replace(samples, colour=table[samples.colour]), f"{what}, converted to sRGB")


def _noted(samples: Samples, note: str) -> Samples:
    return replace(samples, notes=(*samples.notes, note))
