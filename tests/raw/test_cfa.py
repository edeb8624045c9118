from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.image.symmetry import flip_rotate
from ultrabm_jax.raw.cfa import (
    BAYER,
    CANONICAL,
    XTRANS,
    UnknownCFA,
    identify,
    letters,
    phase_offset,
    smallest_period,
    symmetry_offsets,
)
from ultrabm_jax.raw.packing import XTRANS_PLACES


def repeated(pattern, height, width):
    return np.tile(pattern, (height // len(pattern) + 2, width // len(pattern) + 2))[:height, :width]


def test_the_canonical_patterns():
    assert letters(BAYER) == "RG/GB"
    assert letters(XTRANS) == "RBGBRG/GGRGGB/GGBGGR/BRGRBG/GGBGGR/GGRGGB"
    colours = {0: 0, 3: 0, 2: 2, 4: 2}  # SID's channels: red, blue, all others green
    for channel, places in enumerate(XTRANS_PLACES):
        assert {int(XTRANS[place]) for place in places} == {colours.get(channel, 1)}


@pytest.mark.parametrize("name", CANONICAL)
def test_every_phase_is_brought_to_the_canonical_one(name):
    pattern = CANONICAL[name]
    period = len(pattern)
    for top in range(period):
        for left in range(period):
            phase = np.roll(pattern, (top, left), (0, 1))
            mosaic = repeated(phase, 20, 22)
            assert identify(mosaic[:12, :12])[0] == name
            y, x = phase_offset(phase, pattern)
            np.testing.assert_array_equal(mosaic[y:, x:], repeated(pattern, 20 - y, 22 - x))


def test_other_arrays_are_named():
    quad = np.kron(BAYER, np.ones((2, 2), np.uint8))
    with pytest.raises(UnknownCFA, match="the 4x4 colour filter array RRGG/RRGG/GGBB/GGBB is neither Bayer"):
        identify(quad)
    with pytest.raises(UnknownCFA, match="2x2 colour filter array CM/YG"):
        identify(np.array([[3, 4], [5, 1]]))
    with pytest.raises(UnknownCFA, match="RG/BG is not a phase of RG/GB"):
        identify(np.array([[0, 1], [2, 1]]))
    swapped = np.array([0, 1, 2])[XTRANS].copy()
    swapped[0, :2] = swapped[0, 1::-1]
    with pytest.raises(UnknownCFA, match="not a phase"):
        identify(swapped)


def test_the_smallest_period():
    assert smallest_period(np.zeros((6, 4), int)).shape == (1, 1)
    assert smallest_period(np.tile(BAYER, (3, 2))).shape == (2, 2)
    assert smallest_period(np.arange(6).reshape(2, 3)).shape == (2, 3)


@pytest.mark.parametrize("name", CANONICAL)
@pytest.mark.parametrize("patch", [6, 12, 32, 33, 34, 35, 37, 512])
def test_all_eight_symmetries_of_a_patch_start_in_phase(name, patch):
    pattern = CANONICAL[name]
    mosaic = repeated(pattern, patch + 12, patch + 12)
    offsets = symmetry_offsets(pattern, patch)
    assert offsets.shape == (8, 2)
    assert (offsets[0] == 0).all()
    for symmetry, (top, left) in enumerate(offsets):
        for y, x in ((top, left), (top + len(pattern), left + len(pattern))):
            turned = flip_rotate(mosaic[y : y + patch, x : x + patch], symmetry)
            np.testing.assert_array_equal(turned, repeated(pattern, patch, patch))


def test_an_array_without_a_symmetry_is_refused():
    with pytest.raises(UnknownCFA, match="symmetry 1 "):
        symmetry_offsets(np.array([[0, 1, 2], [1, 1, 1], [1, 1, 1]], np.uint8), 3)
