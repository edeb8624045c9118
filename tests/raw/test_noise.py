from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.raw.noise import SPAN, SensorNoise, expose, sensor_noise

BLACK, WHITE = 512, 16383


def statistics(signal, noise, count=200_000):
    raw = expose(np.full(count, signal), black=BLACK, white=WHITE, noise=noise, rng=np.random.default_rng(0))
    return raw.mean() - BLACK, raw.var()


@pytest.mark.parametrize("iso", [100, 1600, 2000, 25600])
@pytest.mark.parametrize("signal", [0.0, 3.0, 150.0, 3000.0])
def test_mean_and_variance_match_the_model(iso, signal):
    noise = sensor_noise(iso)
    mean, variance = statistics(signal, noise)
    expected = noise.gain * signal + noise.read**2 + 1 / 12
    assert mean == pytest.approx(signal, abs=4 * np.sqrt(expected / 200_000))
    assert variance == pytest.approx(expected, rel=0.02)


def test_shot_noise_is_poisson_and_not_its_gaussian():
    raw = expose(
        np.full(100_000, 2.0), black=0, white=WHITE, noise=SensorNoise(10.0, 0.0), rng=np.random.default_rng(0)
    )
    assert set(np.unique(raw)) <= set(range(0, 100, 10))  # whole electrons of 10 DN
    assert (raw == 0).mean() == pytest.approx(np.exp(-0.2), abs=0.005)
    assert (raw == 10).mean() == pytest.approx(0.2 * np.exp(-0.2), abs=0.005)


def test_noise_levels_in_and_between_table_entries():
    assert sensor_noise(1600) == SensorNoise(pytest.approx(1.53008), pytest.approx(6.29925))
    assert sensor_noise(6400) == SensorNoise(pytest.approx(6.12032), pytest.approx(7.1163535))
    assert sensor_noise(800).read < sensor_noise(1000).read < sensor_noise(1600).read
    assert sensor_noise(1999).read == sensor_noise(1600).read  # the end of the lower branch
    assert sensor_noise(2000).read < sensor_noise(1600).read  # the second conversion gain
    half = sensor_noise(1600, span=SPAN / 2)
    assert (half.gain, half.read) == (pytest.approx(1.53008 / 2), pytest.approx(6.29925 / 2))
    for iso in (99, 25601):
        with pytest.raises(UserError, match="the noise model covers ISO 100 to 25600"):
            sensor_noise(iso)


def test_without_noise_it_rounds_and_clips():
    signal = np.array([-1000.0, 0.4, 0.6, 1e6])
    raw = expose(signal, black=BLACK, white=WHITE, noise=None, rng=np.random.default_rng(0))
    assert raw.dtype == np.uint16
    np.testing.assert_array_equal(raw, [0, 512, 513, 16383])
