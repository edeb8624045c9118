from __future__ import annotations

import numpy as np

from input_pipeline.sampling import example_rng, image_index, image_rng, random_crop_offset


def test_example_rng_is_pure_and_separate():
    draws = {
        (seed, step, slot): example_rng(seed, step, slot).integers(2**63)
        for seed in (0, 1, -1)
        for step in (0, 1, 2**33)
        for slot in range(4)
    }
    assert len(set(draws.values())) == len(draws)
    assert example_rng(1, 2**33, 3).integers(2**63) == draws[1, 2**33, 3]


def test_long_streams_of_neighbours_do_not_overlap():
    first, second = (set(example_rng(0, 5, slot).integers(2**63, size=20_000).tolist()) for slot in (0, 1))
    assert not first & second


def test_every_image_once_per_epoch_in_new_orders():
    epochs = [[image_index(7, epoch * 10 + place, 10) for place in range(10)] for epoch in range(6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert epochs[0] != [image_index(8, place, 10) for place in range(10)]


def test_fixed_randomness_depends_on_seed_and_name():
    draw = image_rng(0, "coffee").random()
    assert image_rng(0, "coffee").random() == draw
    assert draw != image_rng(1, "coffee").random()
    assert draw != image_rng(0, "chelsea").random()


def test_crops_reach_every_corner_and_stay_inside():
    rng = np.random.default_rng(0)
    corners = {random_crop_offset(rng, (5, 6), 4) for _ in range(300)}
    assert corners == {(top, left) for top in range(2) for left in range(3)}
    assert random_crop_offset(rng, (4, 4), 4) == (0, 0)
