from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.colour import linear_from_srgb, srgb_from_linear
from ultrabm_jax.image.darkness import (
    Darkness,
    block_mean,
    check_darkness,
    darken,
    draw_darkness,
    quantise,
)


def flat(value, side=512):
    return np.full((side, side, 3), value, np.uint8)


def test_noise_has_the_mean_and_variance_of_the_formula():
    # Undo the tone curve: the noise is defined in linear light. Quantisation to 8 bits adds step^2 / 12.
    for value in (150, 220):
        darkness = Darkness(ev=-1.0, shot=1e-3, read=1e-4)
        low = darken(flat(value), darkness, scale=1, bits=8, rng=np.random.default_rng(1))
        light = linear_from_srgb(low / 255)
        signal = linear_from_srgb(np.array(value / 255)) / 2
        step = (linear_from_srgb(srgb_from_linear(signal) + 1 / 255) - signal).item()
        variance = darkness.shot * signal + darkness.read + step**2 / 12
        count = light.size
        assert abs(light.mean() - signal) < 5 * np.sqrt(variance / count) + 1e-5
        assert abs(light.var() / variance - 1) < 5 * np.sqrt(2 / count) + 0.01


def test_noise_is_drawn_after_the_blocks_are_averaged():
    darkness = Darkness(ev=0.0, shot=1e-3, read=1e-4)
    one = darken(flat(128), darkness, scale=1, bits=8, rng=np.random.default_rng(0))
    two = darken(flat(128), darkness, scale=2, bits=8, rng=np.random.default_rng(0))
    assert two.shape == (256, 256, 3)
    assert abs(two.std() / one.std() - 1) < 0.02


def test_darker_for_lower_exposure():
    photo = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    lows = [
        darken(photo, Darkness(ev, 1e-12, 1e-12), scale=2, bits=8, rng=np.random.default_rng(0)).astype(int)
        for ev in (-5.0, -4.0, -3.0, -1.0, 0.0)
    ]
    for darker, brighter in pairwise(lows):
        assert (darker <= brighter).all()
        assert darker.mean() < brighter.mean()


def test_without_noise_it_is_the_exposure_law():
    low = darken(flat(200, 4), Darkness(-2.0, 1e-12, 1e-12), scale=1, bits=8, rng=np.random.default_rng(0))
    expected = srgb_from_linear(linear_from_srgb(np.array(200 / 255)) / 4) * 255
    assert (low == round(float(expected))).all()


def test_blocks_are_averaged_in_linear_light():
    checker = np.zeros((4, 4, 3), np.uint8)
    checker[::2, ::2] = checker[1::2, 1::2] = 255
    low = darken(checker, Darkness(0.0, 1e-12, 1e-12), scale=2, bits=8, rng=np.random.default_rng(0))
    assert (low == 188).all()  # half the light, not half the code value
    np.testing.assert_array_equal(block_mean(np.arange(16.0).reshape(4, 4, 1), 2)[..., 0], [[2.5, 4.5], [10.5, 12.5]])


@pytest.mark.parametrize("bits", [1, 3, 6, 8])
def test_quantisation_levels_are_exactly_the_even_ones(bits):
    levels = np.unique(quantise(np.linspace(0, 1, 5000), bits))
    np.testing.assert_array_equal(levels, np.rint(np.arange(2**bits) * 255 / (2**bits - 1)))


def test_drawn_parameters_follow_the_options(data):
    rng = np.random.default_rng(0)
    drawn = [draw_darkness(data.darkness, rng) for _ in range(4000)]
    ev, shot, read = (np.array([getattr(d, name) for d in drawn]) for name in ("ev", "shot", "read"))
    assert -5 <= ev.min() < -4.99
    assert -2.51 < ev.max() <= -2.5
    assert shot.min() >= 1e-4
    assert shot.max() <= 1e-3
    assert abs(np.median(shot) / 10**-3.5 - 1) < 0.1  # log-uniform
    residual = np.log(read) - (2.18 * np.log(shot) + 1.20)
    assert abs(residual.mean()) < 5 * 0.26 / np.sqrt(4000)
    assert abs(residual.std() / 0.26 - 1) < 0.06


@pytest.mark.parametrize("wrong", [{"ev": (-1.0, -2.0)}, {"shot_noise": (0.0, 1e-3)}, {"bits": 0}, {"bits": 9}])
def test_options_without_meaning_are_refused(data, wrong):
    data.darkness.update(wrong)
    with pytest.raises(UserError, match=next(iter(wrong))):
        check_darkness(data.darkness)
