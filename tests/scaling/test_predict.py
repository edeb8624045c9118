"""Predicted times against independent calculations and monotonicity."""

import pytest

from ultrabm_jax.scaling.chips import CHIPS
from ultrabm_jax.scaling.predict import all_reduce_seconds, efficiency, step_seconds

SIZE, FLOPS = 50e6, 1e12
chips_by_name = pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)


@chips_by_name
def test_one_chip_sends_nothing_and_has_efficiency_one(chip):
    assert all_reduce_seconds(SIZE, chip, chips=1) == 0
    assert efficiency(FLOPS, SIZE, chip, chips=1, dtype="float32") == 1
    assert step_seconds(FLOPS, 0, chip, chips=1, dtype="bfloat16", share=1) == FLOPS / chip.flops["bfloat16"]


@chips_by_name
def test_efficiency_falls_with_chips_and_bytes(chip):
    shares = [efficiency(FLOPS, SIZE, chip, chips=2**k, dtype="bfloat16") for k in range(13)]
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[-1] < 1
    assert efficiency(FLOPS, 10 * SIZE, chip, chips=64, dtype="bfloat16") < shares[6]
    assert efficiency(10 * FLOPS, SIZE, chip, chips=64, dtype="bfloat16") > shares[6]


@chips_by_name
def test_overlapped_communication_takes_no_time(chip):
    bare, hidden = (efficiency(FLOPS, SIZE, chip, chips=512, dtype="float32", hidden=h) for h in (0.0, 1.0))
    assert bare < hidden <= 1
    assert efficiency(1e18, SIZE, chip, chips=512, dtype="float32", hidden=1.0) == 1


def test_within_a_group_a_ring_needs_twice_the_bytes_over_the_bandwidth():
    chip = CHIPS["H100"]
    assert all_reduce_seconds(1e12, chip, chips=8) == pytest.approx(2 * 7 / 8 * 1e12 / 450e9, rel=1e-4)


def test_between_groups_each_chip_sends_its_part():
    chip = CHIPS["H100"]
    between = all_reduce_seconds(1e12, chip, chips=16) - all_reduce_seconds(1e12, chip, chips=8)
    assert between == pytest.approx(2 * 1 / 2 * 1e12 / 8 / 50e9, rel=1e-3)
