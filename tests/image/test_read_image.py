"""Values, depth, alpha and notes of `read_image`."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile
from image.making import COLOUR, DEEP, ICC, saved
from PIL import Image

from ultrabm_jax.image import read_image


def test_8_bit_rgb_is_read_exactly(tmp_path):
    image = read_image(saved(tmp_path, Image.fromarray(COLOUR)))
    np.testing.assert_array_equal(image.rgb, COLOUR.astype(np.float32) / 255)
    assert (image.bits, image.alpha, image.gray, image.notes) == (8, None, False, ())
    assert image.rgb.dtype == np.float32


def test_16_bit_colour_is_read_whole_from_png_and_tiff(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(DEEP))
    tifffile.imwrite(tmp_path / "b.tif", DEEP, photometric="rgb", compression="deflate")
    tifffile.imwrite(tmp_path / "c.tif", np.moveaxis(DEEP, -1, 0), photometric="rgb", planarconfig="separate")
    for name in ("a.png", "b.tif", "c.tif"):
        image = read_image(tmp_path / name)
        assert image.bits == 16
        np.testing.assert_array_equal(np.rint(image.rgb * 65535), DEEP)


def test_16_bit_gray_png_tiff_and_pgm(tmp_path):
    gray = DEEP[..., 0].copy()
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(gray))
    tifffile.imwrite(tmp_path / "b.tif", gray, photometric="minisblack")
    tifffile.imwrite(tmp_path / "c.tif", 65535 - gray, photometric="miniswhite")
    (tmp_path / "d.pgm").write_bytes(b"P5 7 5 65535\n" + gray.astype(">u2").tobytes())
    for name in ("a.png", "b.tif", "c.tif", "d.pgm"):
        image = read_image(tmp_path / name)
        assert (image.bits, image.gray) == (16, True), name
        np.testing.assert_array_equal(np.rint(image.rgb * 65535), np.dstack([gray] * 3), err_msg=name)


def test_16_bit_gray_with_alpha_is_gray(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(DEEP[..., :2].copy()))
    image = read_image(tmp_path / "a.png")
    assert image.gray
    np.testing.assert_array_equal(np.rint(image.rgb[..., 1] * 65535), DEEP[..., 0])
    np.testing.assert_array_equal(np.rint(image.alpha * 65535), DEEP[..., 1])


def test_16_bit_alpha_is_separate(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.dstack([DEEP, DEEP[..., :1]])))
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(np.rint(image.alpha * 65535), DEEP[..., 0])
    np.testing.assert_array_equal(np.rint(image.rgb * 65535), DEEP)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr"])
def test_modes_agree_with_pillow(tmp_path, mode):
    name = "a.tif" if mode in ("CMYK", "YCbCr", "PA") else "a.png"
    source = Image.fromarray(np.dstack([COLOUR, COLOUR[..., :1]]))
    image = source.convert("RGB").convert(mode) if mode != "PA" else source.convert("RGB").convert("P").convert("PA")
    if mode == "PA":
        name = "a.png"
        image = image.convert("RGBA")
    stored, image = image, read_image(saved(tmp_path, image, name))
    pillow = stored if mode == "YCbCr" else Image.open(tmp_path / name)  # Pillow 12 cannot read its YCbCr TIFF
    expected = np.asarray(pillow.convert("RGB"), np.float32) / 255
    np.testing.assert_array_equal(image.rgb, expected)
    assert (image.alpha is not None) == (mode in ("LA", "PA", "RGBA"))
    assert image.gray == (mode in ("1", "L", "LA"))


def test_transparent_palette_colour_becomes_alpha(tmp_path):
    image = Image.fromarray((COLOUR[..., 0] % 4).astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    image = read_image(saved(tmp_path, image, transparency=2))
    np.testing.assert_array_equal(image.alpha == 0, COLOUR[..., 0] % 4 == 2)


def test_first_frame_of_an_animation_is_read_with_a_note(tmp_path):
    frames = [Image.fromarray(COLOUR[..., k]) for k in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    image = read_image(tmp_path / "a.gif")
    assert image.notes == ("first of 3 frames",)
    np.testing.assert_array_equal(image.rgb[..., 0] * 255, COLOUR[..., 0])


def test_gray_profile_is_not_attached_to_rgb(tmp_path):
    gray = Image.fromarray(COLOUR[..., 0])
    assert read_image(saved(tmp_path, gray, icc_profile=ICC.replace(b"RGB ", b"GRAY"))).icc is None
