"""Regions, curves and error maps agree with the image they are made from."""

import numpy as np
import pytest

from ultrabm_jax.report.curves import BINS, POINTS, curves_of, enlarged
from ultrabm_jax.report.error_maps import colourise, error_maps, round_up
from ultrabm_jax.report.figures import make_figures
from ultrabm_jax.report.regions import choose_regions

SIZE = (160, 240)


def gray(value, size=SIZE):
    return np.full((*size, 3), value, np.uint8)


def test_regions_follow_the_rules():
    images = {"input": gray(50), "m": gray(100), "reference": gray(100)}
    images["m"][100:130, 200:230] = 180  # the largest error
    images["reference"][10:40, 8:38:2] = 140  # texture
    images["m"][10:40, 8:38:2] = 140
    images["input"][60:90, 100:130] = 1
    chosen = choose_regions(images, "m")
    centers = {r.why: (r.y + r.side / 2, r.x + r.side / 2) for r in chosen}
    assert centers["largest error of m"] == pytest.approx((115, 215), abs=8)
    assert centers["strongest texture of the reference"] == pytest.approx((25, 23), abs=8)
    assert centers["darkest part of the input"] == pytest.approx((75, 115), abs=8)


def test_regions_do_not_overlap_and_stay_inside():
    images = {"input": gray(50), "m": gray(100), "reference": gray(100)}
    images["m"][80:90, 100:110] = 255  # largest error, strongest texture of all
    images["reference"][80:90, 100:110] = 0
    images["input"][80:90, 100:110] = 0
    chosen = choose_regions(images, "m")
    covered = np.zeros(SIZE, int)
    for region in chosen:
        covered[region.y : region.y + region.side, region.x : region.x + region.side] += 1
    assert len(chosen) == 3
    assert covered.max() == 1
    assert covered.sum() == sum(r.side**2 for r in chosen)


def test_other_rules_apply_without_a_reference():
    images = {"input": gray(50), "m": gray(100)}
    whys = [r.why for r in choose_regions(images, "m")]
    assert whys == ["strongest texture of m", "darkest part of the input", "brightest part of the input"]


@pytest.mark.parametrize("scale", [2, 4])
def test_a_region_covers_the_same_place_in_a_smaller_input(scale):
    rng = np.random.default_rng(0)
    low = rng.integers(0, 256, (SIZE[0] // scale, SIZE[1] // scale, 3), np.uint8)
    images = {"input": low, "m": enlarged(low, *SIZE), "reference": gray(100)}
    for region in choose_regions(images, "m"):
        small = region.cut(low, scale)
        np.testing.assert_array_equal(enlarged(small, region.side, region.side), region.cut(images["m"]))


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (31, 33)])
def test_tiny_images_have_figures_too(size):
    images = {"input": gray(3, size), "m": gray(9, size), "reference": gray(8, size)}
    shown = make_figures(images, "m")
    assert list(shown.views) == ["input", "m", "reference"]
    assert all(region.side >= 1 for region in shown.regions)
    assert 0 <= shown.line < size[0]


def test_input_model_and_reference_come_first():
    images = {"a": gray(1), "reference": gray(2), "m": gray(3), "input": gray(4), "b": gray(5)}
    assert list(make_figures(images, "m").views) == ["input", "m", "reference", "a", "b"]


def test_histograms_count_pixels_in_their_bins():
    image = gray(0)
    image[:40] = 255
    image[40:80, :, 0] = 255
    curves = curves_of(image, 0, SIZE)
    assert np.argmax(curves.histogram) == 0
    assert 16 + 2 * np.argmax(curves.histogram[50:]) + 100 == pytest.approx(235, abs=1)
    assert curves.histogram.sum() * 2 == pytest.approx(1 - 0.25, abs=0.05)  # half of each end's peak lies outside
    np.testing.assert_allclose(curves.density[:, -1], [0.5, 0.25, 0.25])
    np.testing.assert_allclose(curves.density.sum(1), 1)
    assert curves.density.shape == (3, BINS)


def test_a_profile_is_y_along_its_row():
    image = np.random.default_rng(0).integers(0, 256, (4, 100, 3), np.uint8)
    r, g, b = np.moveaxis(image[2].astype(float), -1, 0)
    expected = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    np.testing.assert_allclose(curves_of(image, 2, (4, 100)).profile, expected, rtol=1e-5)
    np.testing.assert_allclose(curves_of(image, 5, (8, 200)).profile, expected.repeat(2), rtol=1e-5)


def test_a_long_profile_is_averaged():
    image = np.arange(1000)[None, :, None].repeat(3, -1) // 4 % 256
    image[..., 1:] = 0
    profile = curves_of(image.astype(np.uint8), 0, (1, 1000)).profile
    assert len(profile) == POINTS - 6  # four neighbours each
    np.testing.assert_allclose(profile, 16 + 65.481 * np.arange(250) / 255, rtol=1e-5)


def test_error_maps_share_a_scale_that_fits_the_model():
    images = {"input": gray(0), "m": gray(100), "worse": gray(180), "reference": gray(80)}
    images["m"][..., 2] = 110  # mean error (20 + 20 + 30) / 3
    maps, end = error_maps(images, "m")
    assert list(maps) == ["m", "worse"]
    assert end == 32
    np.testing.assert_array_equal(maps["m"][0, 0], colourise(np.array(70 / 3 / 32)))
    np.testing.assert_array_equal(maps["worse"][0, 0], colourise(np.array(1.0)))


def test_a_reduced_error_map_keeps_the_mean():
    rng = np.random.default_rng(0)
    images = {"input": gray(0, (600, 960)), "m": gray(0, (600, 960)), "reference": gray(0, (600, 960))}
    images["m"] = np.where(rng.random((600, 960, 1)) < 0.5, 32, 0).astype(np.uint8).repeat(3, -1)
    maps, end = error_maps(images, "m")
    assert end == 32
    assert maps["m"].shape == (150, 240, 3)
    np.testing.assert_allclose(maps["m"].mean((0, 1)), colourise(np.array(0.5)), atol=12)


@pytest.mark.parametrize(("value", "end"), [(0, 8), (8, 8), (8.1, 16), (200, 255), (300, 255)])
def test_ends_of_scales(value, end):
    assert round_up(value) == end
