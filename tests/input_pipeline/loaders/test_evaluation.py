from __future__ import annotations

import numpy as np
import pytest

from input_pipeline import eval_batches, open_source
from ultrabm_jax.errors import UserError


@pytest.fixture
def source(data, pairs, image):
    """Seven pairs: five of 12x16, two of 10x10."""
    for k in (5, 6):
        image(pairs / "low" / f"{k}.png", 10, 10, seed=k)
        image(pairs / "high" / f"{k}.png", 20, 20, seed=k)
    data.root = str(pairs)
    return open_source(data, scale=2)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_every_process_gets_the_same_shapes_and_each_image_counts_once(source, processes):
    parts = [
        list(eval_batches(source, batch_size=4, process_index=p, process_count=processes)) for p in range(processes)
    ]
    shapes = [[batch["low"].shape for batch in part] for part in parts]
    assert all(shape == shapes[0] for shape in shapes)
    assert len(shapes[0]) == 3
    counted = [int(i) for part in parts for batch in part for i in batch["index"][batch["mask"]]]
    assert sorted(counted) == list(range(7))
    for part in parts:
        for batch in part:
            for i, low, reference in zip(batch["index"], batch["low"], batch["reference"], strict=True):
                np.testing.assert_array_equal(low, source.pair(int(i))[0])
                np.testing.assert_array_equal(reference, source.pair(int(i))[1])


def test_one_by_one_keeps_the_order(source):
    made = list(eval_batches(source, batch_size=1))
    assert [int(batch["index"][0]) for batch in made] == list(range(7))
    assert all(batch["mask"].all() for batch in made)
    assert [int(batch["index"][0]) for batch in eval_batches(source, batch_size=1, count=3)] == [0, 1, 2]


def test_a_batch_that_processes_cannot_share_is_refused(source):
    with pytest.raises(UserError, match="multiple of the 2 processes"):
        next(eval_batches(source, batch_size=3, process_count=2))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_pairs_that_cannot_be_read_are_left_out_and_reported_once(source, monkeypatch, processes):
    """Two of the first batch, and the whole last one."""
    pair, broken = source.pair, {0, 3, 5, 6}

    def read(i):
        if i in broken:
            raise UserError(f"{i} is damaged")
        return pair(i)

    monkeypatch.setattr(source, "pair", read)
    with pytest.raises(UserError, match="0 is damaged"):
        list(eval_batches(source, batch_size=4))
    counted, reported = [], []
    for p in range(processes):
        unreadable: dict[int, str] = {}
        options = {"process_index": p, "process_count": processes, "unreadable": unreadable}
        for batch in eval_batches(source, batch_size=4, **options):
            assert batch["low"].shape[0] == 4 // processes
            for i in np.flatnonzero(batch["mask"]):
                counted.append(int(batch["index"][i]))
                np.testing.assert_array_equal(batch["low"][i], pair(counted[-1])[0])
        reported += unreadable.items()
    assert sorted(counted) == [1, 2, 4]
    assert sorted(reported) == [(i, f"{i} is damaged") for i in sorted(broken)]
