from __future__ import annotations

import numpy as np
import pytest

from input_pipeline.raw_pairs.crops import crop_black, draw_crop
from ultrabm_jax.errors import UserError
from ultrabm_jax.image.symmetry import flip_rotate, swaps_sides
from ultrabm_jax.raw.cfa import CANONICAL, symmetry_offsets
from ultrabm_jax.raw.levels import tile_to

SIZES = {"bayer": (23, 31, 12), "xtrans": (40, 47, 20)}  # h, w, patch (for X-Trans no multiple of the period)


def drawn(name, aug, count=3000, seed=0):
    height, width, patch = SIZES[name]
    rng = np.random.default_rng(seed)
    return [draw_crop(rng, (height, width), patch, CANONICAL[name], aug=aug) for _ in range(count)]


@pytest.mark.parametrize("name", CANONICAL)
def test_every_patch_starts_in_canonical_phase(name):
    height, width, patch = SIZES[name]
    mosaic = tile_to(CANONICAL[name], (height, width))
    wanted = tile_to(CANONICAL[name], (patch, patch))
    seen = set(drawn(name, "preserve"))
    assert {symmetry for *_, symmetry in seen} == set(range(8))
    for top, left, symmetry in seen:
        part = mosaic[top : top + patch, left : left + patch]
        assert part.shape == (patch, patch)
        np.testing.assert_array_equal(flip_rotate(part, symmetry), wanted)


@pytest.mark.parametrize("name", CANONICAL)
def test_flips_of_the_paper_are_in_phase_and_never_transpose(name):
    height, width, patch = SIZES[name]
    mosaic = tile_to(CANONICAL[name], (height, width))
    seen = set(drawn(name, "flips"))
    assert {symmetry for *_, symmetry in seen} == {0, 2, 4, 6}
    assert not any(swaps_sides(symmetry) for *_, symmetry in seen)
    for top, left, symmetry in seen:
        part = flip_rotate(mosaic[top : top + patch, left : left + patch], symmetry)
        np.testing.assert_array_equal(part, tile_to(CANONICAL[name], (patch, patch)))


@pytest.mark.parametrize("name", CANONICAL)
def test_symmetries_and_offsets_are_uniform(name):
    height, width, patch = SIZES[name]
    period, draws = len(CANONICAL[name]), drawn(name, "preserve", count=8000)
    for symmetry, (top, left) in enumerate(symmetry_offsets(CANONICAL[name], patch)):
        offsets = [offset for *offset, k in draws if k == symmetry]
        assert abs(len(offsets) - 1000) < 4 * np.sqrt(1000 * 7 / 8)
        places = len(range(top, height - patch + 1, period)) * len(range(left, width - patch + 1, period))
        counts = np.unique(offsets, axis=0, return_counts=True)[1]
        assert len(counts) == places
        mean = len(offsets) / places
        chi_squared = ((counts - mean) ** 2 / mean).sum()
        assert chi_squared < places - 1 + 4 * np.sqrt(2 * (places - 1))


def test_raw_flips_keep_the_offset_even_and_change_the_phase():
    seen = drawn("bayer", "raw")
    assert {symmetry for *_, symmetry in seen} == {0, 2, 4, 6}
    assert all(top % 2 == 0 and left % 2 == 0 for top, left, _ in seen)
    image = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(flip_rotate(image, 4), np.fliplr(image))
    np.testing.assert_array_equal(flip_rotate(image, 6), np.flipud(image))


def test_mosaic_as_large_as_the_patch_uses_the_symmetries_that_fit():
    rng = np.random.default_rng(0)
    seen = {draw_crop(rng, (12, 12), 12, CANONICAL["bayer"]) for _ in range(50)}
    assert seen == {(0, 0, 0), (0, 0, 7)}  # the two turns that keep red at the offset
    with pytest.raises(UserError, match="a mosaic of 12x11 holds no patch of 12x12"):
        draw_crop(rng, (11, 12), 12, CANONICAL["bayer"])
    with pytest.raises(UserError, match="choose one of: preserve, flips, raw"):
        draw_crop(rng, (12, 12), 12, CANONICAL["bayer"], aug="none")


@pytest.mark.parametrize("name", CANONICAL)
@pytest.mark.parametrize("aug", ["preserve", "flips", "raw"])
def test_black_levels_move_with_their_samples(name, aug):
    height, width, patch = SIZES[name]
    period = len(CANONICAL[name])
    black = np.arange(period**2, dtype=np.float32).reshape(period, period)
    mosaic = tile_to(black, (height, width))
    for top, left, symmetry in set(drawn(name, aug, count=300)):
        part = flip_rotate(mosaic[top : top + patch, left : left + patch], symmetry)
        turned = crop_black(black, top=top, left=left, patch=patch, symmetry=symmetry)
        np.testing.assert_array_equal(tile_to(turned, (patch, patch)), part)
