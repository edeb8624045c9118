import math

import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.schedules import cosine_cycles
from ultrabm_jax.stages import Stage, check_divisible, progressive_stages

# Shares (thousands of steps), batches and patches of the paper, x2.
PAPER = ((46, 8, 128), (32, 5, 160), (24, 4, 192), (18, 2, 256), (18, 1, 320), (12, 1, 384))


def paper_stages(batch_size, *, steps=150_000, patch_size=128):
    return progressive_stages(PAPER, steps=steps, batch_size=batch_size, patch_size=patch_size)


def test_the_papers_stages():
    stages = paper_stages(8)
    assert [(s.start, s.stop) for s in stages] == [
        (0, 46_000), (46_000, 78_000), (78_000, 102_000), (102_000, 120_000), (120_000, 138_000), (138_000, 150_000),
    ]  # fmt: skip
    assert [(s.batch_size, s.patch_size) for s in stages] == [(b, p) for _, b, p in PAPER]


def test_batches_keep_their_proportions_and_are_at_least_one():
    assert [s.batch_size for s in paper_stages(64)] == [64, 40, 32, 16, 8, 8]
    assert [s.batch_size for s in paper_stages(2)] == [2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("patch", [16, 48, 64, 100, 128])
def test_patches_of_later_stages_are_multiples_of_16(patch):
    first, *later = [s.patch_size for s in paper_stages(8, patch_size=patch)]
    assert first == patch
    assert all(size % 16 == 0 and size >= 16 for size in later)
    assert later == sorted(later)


@pytest.mark.parametrize("steps", [1, 3, 7, 100, 1001])
def test_stages_tile_any_number_of_steps(steps):
    stages = paper_stages(8, steps=steps)
    assert [s.start for s in stages] == [0, *(s.stop for s in stages[:-1])]
    assert stages[-1].stop == steps
    assert all(s.stop > s.start for s in stages)


def test_no_stages_give_one_stage():
    assert progressive_stages((), steps=5, batch_size=3, patch_size=20) == [Stage(0, 5, 3, 20)]


def test_the_released_learning_rate():
    rate = cosine_cycles(((46, 3e-4), (104, 1e-6)), steps=150_000, learning_rate=2e-4)

    def formula(t, length, final):
        return final + 0.5 * (2e-4 - final) * (1 + math.cos(math.pi * t / length))

    for step in (0, 1, 23_000, 45_999):
        assert float(rate(step)) == pytest.approx(formula(step, 46_000, 3e-4), rel=1e-5)
    for step in (46_000, 46_001, 98_000, 149_999):
        assert float(rate(step)) == pytest.approx(formula(step - 46_000, 104_000, 1e-6), rel=1e-4)
    assert float(rate(0)) == pytest.approx(2e-4)
    assert float(rate(23_000)) == pytest.approx(2.5e-4)  # the first cycle rises
    assert float(rate(45_999)) == pytest.approx(3e-4)
    assert float(rate(46_000)) == pytest.approx(2e-4)  # the restart
    assert float(rate(150_000)) == pytest.approx(1e-6, rel=1e-3)


@pytest.mark.parametrize(("batch", "devices"), [(8, 8), (64, 16), (6, 4), (7, 3), (1, 5)])
def test_the_proposed_batch_works_and_is_the_smallest(batch, devices):
    with pytest.raises(UserError, match=r"stage \d: batch of \d+ is not divisible by the \d+ devices") as error:
        check_divisible(paper_stages, batch_size=batch, devices=devices)
    proposed = int(str(error.value).rpartition("--config.data.batch_size=")[2])
    check_divisible(paper_stages, batch_size=proposed, devices=devices)
    for smaller in range(batch, proposed):
        with pytest.raises(UserError):
            check_divisible(paper_stages, batch_size=smaller, devices=devices)


def test_first_indivisible_stage_is_named():
    with pytest.raises(UserError, match="stage 2: batch of 5 is not divisible by the 2 devices"):
        check_divisible(paper_stages, batch_size=8, devices=2)


def test_no_proposal_where_there_is_none():
    with pytest.raises(UserError, match=r"so that every stage's batch is$"):
        check_divisible(lambda n: [Stage(0, 1, 1, 16)], batch_size=1, devices=2)


def test_constant_rates_decrease_in_steps():
    """RED: 1e-4 for half of the steps, then 1e-5."""
    rate = cosine_cycles(((500, 1e-4, 1e-4), (500, 1e-5, 1e-5)), steps=1000, learning_rate=1e-4)
    assert [float(rate(step)) for step in (0, 499, 500, 999)] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5], rel=1e-6)
