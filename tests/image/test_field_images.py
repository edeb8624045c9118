"""Image files found in practice: all three readers return the right values, or all refuse the file.

The files are in shared/field/images, made after public reports; their README.md says what each one is. The scene is
64x48 with a mean of .228, or .325 where gray was made of its red channel.
"""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as PillowImage

from ultrabm_jax.image import BadImage, read_image, read_rgb_uint8, read_size
from ultrabm_jax.image.colour import srgb_from_linear
from ultrabm_jax.image.hidden import fill_hidden

RGB_MEAN, GRAY_MEAN = 0.228, 0.325
UPRIGHT, TURNED = (48, 64), (64, 48)
READERS = (read_image, read_rgb_uint8, read_size)


@pytest.fixture(scope="module")
def images(shared):
    return shared / "field" / "images"


@pytest.mark.parametrize(
    ("name", "size", "mean", "bits"),
    [
        ("t_gray12.tif", UPRIGHT, RGB_MEAN, 16),
        ("t_rgb16_planar.tif", UPRIGHT, RGB_MEAN, 16),
        ("t_rgb16_be.tif", UPRIGHT, RGB_MEAN, 16),
        ("t_gray16_be.tif", UPRIGHT, GRAY_MEAN, 16),
        ("t_ga16.tif", UPRIGHT, GRAY_MEAN, 16),
        ("m_tiff_o6_8.tif", TURNED, RGB_MEAN, 8),
        ("m_tiff_o6_16.tif", TURNED, RGB_MEAN, 16),
        ("m_exif6_after_idat.png", TURNED, RGB_MEAN, 8),
        ("m_exif6.jpg", TURNED, RGB_MEAN, 8),
        ("c_icc_dpi.jpg", UPRIGHT, RGB_MEAN, 8),
        ("q_ppm16.ppm", UPRIGHT, RGB_MEAN, 16),
        ("a_trns8.png", UPRIGHT, RGB_MEAN, 8),
        ("c_gray_as_rgb.png", UPRIGHT, GRAY_MEAN, 8),
    ],
)
def test_values_size_and_depth(images, name, size, mean, bits):
    image, pixels = read_image(images / name), read_rgb_uint8(images / name)
    assert image.bits == bits
    assert image.rgb.shape[:2] == pixels.shape[:2] == read_size(images / name) == size
    assert image.rgb.mean() == pytest.approx(mean, abs=0.001)
    assert pixels.mean() / 255 == pytest.approx(mean, abs=0.001)
    np.testing.assert_allclose(pixels, image.rgb * 255, atol=0.501)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("t_u32_gray.tif", "32-bit images have no defined range; convert it to 8 or 16 bits"),
        ("t_f32_rgb.tif", "floating-point images have no defined range; convert it to 8 or 16 bits"),
    ],
)
def test_samples_without_a_defined_white_are_refused(images, name, reason):
    for read in READERS[:2]:
        with pytest.raises(BadImage, match=rf"{name}: {reason}"):
            read(images / name)


def test_big_endian_gray_equals_the_red_channel(images):
    red = read_image(images / "t_rgb16_be.tif").rgb[..., 0]
    np.testing.assert_array_equal(read_image(images / "t_gray16_be.tif").rgb[..., 1], red)


def test_planes_equal_interleaved_samples(images):
    np.testing.assert_array_equal(
        read_image(images / "t_rgb16_planar.tif").rgb, read_image(images / "t_rgb16_be.tif").rgb
    )


def test_exif_and_resolution_are_kept_without_the_orientation(images):
    exif = PillowImage.Exif()
    exif.load(read_image(images / "m_exif6.jpg").exif)
    before = PillowImage.open(images / "m_exif6.jpg").getexif()
    assert before[274] == 6
    assert 274 not in exif
    for tag in (271, 272, 306, 315):  # make, model, date, author
        assert exif.get(tag) == before.get(tag)
    assert exif.get_ifd(0x8769) == before.get_ifd(0x8769)
    profiled = read_image(images / "c_icc_dpi.jpg")
    assert profiled.dpi == (300, 300)
    assert profiled.icc is not None


def test_linear_gamma_is_converted_with_a_note(images):
    stored = np.asarray(PillowImage.open(images / "c_gama_linear.png"))
    image = read_image(images / "c_gama_linear.png")
    np.testing.assert_allclose(image.rgb, srgb_from_linear(stored / 255), atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(read_rgb_uint8(images / "c_gama_linear.png"), np.rint(image.rgb * 255))
    assert image.notes == ("gAMA 1, converted to sRGB",)


def test_alpha_is_kept(images):
    for name in ("a_trns8.png", "t_ga16.tif", "a_white_under.png"):
        assert read_image(images / name).alpha is not None


def test_gray_stored_as_rgb_is_gray(images):
    assert read_image(images / "c_gray_as_rgb.png").gray
    assert not read_image(images / "q_ppm16.ppm").gray


def test_hidden_colours_do_not_affect_the_result(images):
    white, black = (read_image(images / f"a_{name}_under.png") for name in ("white", "black"))
    assert abs(white.rgb - black.rgb).max() > 0.9
    np.testing.assert_array_equal(fill_hidden(white.rgb, white.alpha), fill_hidden(black.rgb, black.alpha))


def test_thumbnail_of_a_camera_raw_file_is_refused(shared):
    for read in READERS:
        with pytest.raises(BadImage, match="camera raw file; restore it with a model for camera raw"):
            read(shared / "field" / "raw" / "thumb_in_ifd0.dng")


@pytest.mark.parametrize("name", ["k.jfif", "k.JPE", "k.avif", "k.jp2", "k.jpg_large", "webp_inside.jpg"])
def test_less_common_names_are_images_too(shared, name):
    path = shared / "field" / "folder" / name
    assert read_rgb_uint8(path).shape == (48, 64, 3)
    assert read_image(path).rgb.mean() == pytest.approx(RGB_MEAN, abs=0.003)
