import numpy as np
import pytest

from ultrabm_jax.baselines import BASELINES, TARGET_MEAN, equalising_table, mean_gamma

LOW = np.random.default_rng(0).random((12, 17, 3), np.float32) ** 2 * 0.2


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("scale", [2, 4])
def test_shape_type_and_range(name, scale):
    restored = BASELINES[name](LOW, scale)
    assert restored.shape == (12 * scale, 17 * scale, 3)
    assert restored.dtype == np.float32
    assert restored.min() >= 0
    assert restored.max() <= 1


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_black_and_white_stay_finite(name, value):
    assert np.isfinite(BASELINES[name](np.full((3, 1, 3), value, np.float32), 2)).all()


@pytest.mark.parametrize("gain", [0.05, 0.5, 1.0])
def test_gamma_brings_the_mean_to_the_target(gain):
    low = LOW / LOW.max() * gain
    assert np.mean(low.astype(np.float64) ** mean_gamma(low, TARGET_MEAN)) == pytest.approx(TARGET_MEAN, abs=1e-6)


def test_the_table_is_opencv_equalize_hist():
    levels = np.array([[52, 55, 61], [55, 52, 200]], np.uint8)
    # Of the 4 pixels that are not the darkest value: 2, 3 and 4 of them are at most 55, 61 and 200.
    table = equalising_table(levels) * 255
    np.testing.assert_allclose(table[[52, 55, 61, 200]], [0, 128, 191, 255], atol=1e-3)


def test_equalising_keeps_the_differences_between_channels():
    low = LOW * 0.5 + 0.05
    restored = BASELINES["equalised_bicubic"](low, 1)
    inside = ((restored > 0) & (restored < 1)).all(-1)
    assert inside.any()
    differences = (low[..., 0] - low[..., 2])[inside]
    np.testing.assert_allclose((restored[..., 0] - restored[..., 2])[inside], differences, atol=1e-6)
