"""What the reader converted or left out is logged once for each data set."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from input_pipeline.sources.reading import NotedReader
from ultrabm_jax.image import read_rgb_uint8
from ultrabm_jax.image.colour import srgb_from_linear
from ultrabm_jax.logging import configure_logging

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


def with_gamma(path, gamma: float):
    Image.fromarray(PIXELS).save(path)
    body = b"gAMA" + struct.pack(">I", round(gamma * 100_000))
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(path.read_bytes()[:33] + chunk + path.read_bytes()[33:])
    return path


def test_each_note_is_logged_once_with_the_first_file(tmp_path, capsys):
    configure_logging()
    read = NotedReader()
    for name in ("a.png", "b.png", "c.png"):
        pixels = read(with_gamma(tmp_path / name, 1.0))
        np.testing.assert_array_equal(pixels, np.rint(srgb_from_linear(PIXELS / 255) * 255))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"note: {tmp_path / 'a.png'}: gAMA 1, converted to sRGB (logged once for this data set)"]


@pytest.mark.parametrize(("space", "noted"), [("sRGB", False), ("XYZ", True), (None, True)])
def test_profiles_other_than_srgb_are_noted(tmp_path, space, noted):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if space == "XYZ":  # another description, stored as UTF-16
        profile = profile.replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
    elif space is None:
        profile = b"\0" * 16 + b"RGB XYZ " + b"\0" * 104
    notes: list[str] = []
    Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(read_rgb_uint8(tmp_path / "a.png", note=notes.append), PIXELS)
    assert len(notes) == noted
    assert not noted or "is not applied; taken to be sRGB" in notes[0]
