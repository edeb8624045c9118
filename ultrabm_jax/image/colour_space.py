"""Colour spaces: conversion to sRGB, and notes on colours that are not converted.

CMYK            by its ICC profile, else by the plain formula; inverted only if Adobe's marker is present
PNG's gAMA      converted by sRGB's curve where no profile, sRGB or cICP chunk overrules it (PNG 3, section 4.3)
PNG's cHRM and cICP other than sRGB's
                noted: the values are taken to be sRGB
ICC profile     of an RGB image, passed on unchanged; of a gray image, noted
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image, ImageChops, ImageCms

from ultrabm_jax.image.colour import srgb_from_linear
from ultrabm_jax.image.formats import JPEG
from ultrabm_jax.image.open import OpenImage
from ultrabm_jax.image.png_chunks import cicp_of
from ultrabm_jax.image.samples import Samples

SRGB_GAMMA = 1 / 2.2  # the values in files that are sRGB
GAMMA_TOLERANCE = 0.02
SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # white, red, green, blue
SRGB_CICP = (1, 13)  # BT.709 primaries, sRGB's curve


def rgb_profile(opened: OpenImage) -> tuple[bytes | None, tuple[str, ...]]:
    """(ICC profile of RGB values, notes)."""
    icc = opened.pillow.info.get("icc_profile") if opened.pillow is not None else None
    if icc is None and opened.page is not None:
        icc = opened.page.iccprofile
    if not isinstance(icc, bytes) or len(icc) < 20 or icc[16:20] == b"CMYK":
        return None, ()
    if icc[16:20] != b"RGB ":
        return None, (f"its colour profile ({icc[16:20].decode('latin-1').strip()}) is not applied",)
    return icc, ()


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
    """Applies a PNG's colour chunks to its samples, or notes why they are not applied."""
    if opened.format != "PNG" or opened.pillow is None:
        return samples
    info, cicp = opened.pillow.info, cicp_of(opened.file)
    if cicp is not None:
        note = f"primaries {cicp[0]} and transfer {cicp[1]} by its cICP chunk; taken to be sRGB"
        return samples if cicp == SRGB_CICP else _noted(samples, note)
    if "icc_profile" in info or "srgb" in info:
        return samples
    primaries = info.get("chromaticity")
    if primaries and not np.allclose(primaries, SRGB_PRIMARIES, atol=0.005):
        samples = _noted(samples, "its primaries (cHRM) are not sRGB's; taken to be sRGB")
    gamma = info.get("gamma")
    if gamma and abs(gamma - SRGB_GAMMA) > GAMMA_TOLERANCE:
        return _noted(_without_gamma(samples, gamma), f"gAMA {gamma:.5g}, converted to sRGB")
    return samples


def _without_gamma(samples: Samples, gamma: float) -> Samples:
    """Converts samples that encode light**gamma to sRGB."""
    light = (np.arange(samples.peak + 1) / samples.peak) ** (1 / gamma)
    table = np.rint(srgb_from_linear(light) * samples.peak).astype(samples.colour.dtype)
    return replace(samples, colour=table[samples.colour])


def _noted(samples: Samples, note: str) -> Samples:
    return replace(samples, notes=(*samples.notes, note))
