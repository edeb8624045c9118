import numpy as np
import pytest

from ultrabm_jax.image.tone_mapping import (
    TARGET_MEAN,
    clahe,
    clahe_levels,
    equalised,
    gamma,
    mean_gamma,
)

LOW = np.random.default_rng(0).random((12, 17, 3), np.float32) ** 2 * 0.2
# By OpenCV 5.0: createCLAHE(clipLimit=2.0, tileGridSize=(3, 2)).apply(DARK); neither side is a multiple of its tiles.
DARK = np.array(
    [[36, 6, 0, 0, 59, 74, 33, 47, 26, 78], [59, 0, 66, 0, 47, 2, 67, 26, 8, 16],
     [0, 1, 40, 37, 34, 13, 89, 86, 42, 38], [42, 13, 1, 46, 24, 8, 21, 71, 78, 11],
     [29, 9, 31, 10, 13, 71, 4, 34, 0, 62], [55, 5, 69, 0, 10, 2, 18, 57, 4, 0],
     [14, 3, 0, 30, 8, 40, 3, 79, 11, 1], [35, 77, 17, 82, 22, 16, 34, 89, 81, 19],
     [51, 22, 25, 55, 15, 48, 45, 78, 1, 47]], np.uint8)  # fmt: skip
OPENCV = np.array(
    [[128, 51, 26, 23, 178, 207, 115, 140, 89, 194], [204, 26, 217, 23, 159, 29, 178, 96, 44, 64],
     [26, 38, 153, 137, 122, 70, 230, 214, 128, 118], [163, 85, 37, 163, 90, 51, 79, 184, 195, 52],
     [102, 60, 115, 65, 71, 195, 38, 118, 20, 149], [178, 44, 198, 23, 60, 28, 83, 153, 38, 23],
     [72, 38, 26, 111, 51, 136, 34, 201, 60, 29], [127, 194, 77, 208, 100, 82, 128, 221, 192, 81],
     [153, 89, 102, 166, 70, 160, 153, 188, 26, 115]])  # fmt: skip


@pytest.mark.parametrize("tone", [gamma, equalised, clahe])
def test_shape_type_and_range(tone):
    bright = tone(LOW)
    assert bright.shape == LOW.shape
    assert bright.dtype == np.float32
    assert bright.min() >= 0
    assert bright.max() <= 1
    assert bright.mean() > 2 * LOW.mean()


@pytest.mark.parametrize("tone", [gamma, equalised, clahe])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_black_and_white_stay_finite(tone, value):
    assert np.isfinite(tone(np.full((3, 1, 3), value, np.float32))).all()


@pytest.mark.parametrize("gain", [0.05, 0.5, 1.0])
def test_gamma_brings_the_mean_to_the_target(gain):
    low = LOW / LOW.max() * gain
    assert np.mean(low.astype(np.float64) ** mean_gamma(low, TARGET_MEAN)) == pytest.approx(TARGET_MEAN, abs=1e-6)
    assert gamma(low, mean=0.3).mean() == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize("tone", [equalised, clahe])
def test_differences_between_channels_are_preserved(tone):
    low = LOW * 0.5 + 0.05
    bright = tone(low)
    inside = ((bright > 0) & (bright < 1)).all(-1)
    assert inside.any()
    differences = (low[..., 0] - low[..., 2])[inside]
    np.testing.assert_allclose((bright[..., 0] - bright[..., 2])[inside], differences, atol=1e-6)


def test_clahe_equals_opencvs():
    np.testing.assert_array_equal(np.rint(clahe_levels(DARK, clip=2.0, tiles=(2, 3))), OPENCV)


def test_clahe_of_one_tile_without_a_limit_equals_the_cumulative_histogram():
    new = clahe_levels(DARK, clip=0, tiles=(1, 1))
    shares = np.array([[(level >= DARK).mean() for level in row] for row in DARK])
    np.testing.assert_allclose(new, 255 * shares, atol=0.5)


def test_a_lower_limit_gives_less_contrast():
    # A dark ramp: the limit holds the slope of the table, and so the contrast, down.
    ramp = np.tile(np.arange(64, dtype=np.uint8) // 2, (64, 1))
    spans = [np.ptp(clahe_levels(ramp, clip=clip, tiles=(1, 1))) for clip in (1.0, 2.0, 4.0)]
    assert spans == sorted(spans)
    assert spans[0] < 0.5 * spans[-1]
