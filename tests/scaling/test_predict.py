"""Predicted bounds against independent calculations and monotonicity, and the command on rows of a file."""

import dataclasses
import json

import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.scaling import __main__, ahead
from ultrabm_jax.scaling.chips import CHIPS
from ultrabm_jax.scaling.predict import LATENCY, all_reduce_seconds, link_seconds, permute_seconds, predict

SIZE, FLOPS = 50 * 10**6, 1e12
chips_by_name = pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)


def program(size=SIZE, flops=FLOPS, *, accessed=1e9, collectives=None):
    return {
        **{"accepted": True, "refusal": "", "flops": flops, "accessed": accessed},
        **{"arguments": 10**8, "outputs": 10**7, "temporary": 10**8, "sent": 0, "compile_seconds": 1.0},
        "collectives": collectives or {"all-reduce": 1},
        "bytes": dict.fromkeys(collectives or {"all-reduce": 1}, size),
    }


def efficiencies(chip, *, overlapped=False, dtype="bfloat16", counts=tuple(2**k for k in range(13)), **changes):
    found = [predict(program(**changes), chip, chips=n, dtype=dtype) for n in counts]
    return [prediction.efficiency(overlapped=overlapped) for prediction in found]


@chips_by_name
def test_one_chip_sends_nothing_and_has_efficiency_one(chip):
    assert all_reduce_seconds(SIZE, chip, chips=1) == 0
    assert permute_seconds(SIZE, chip, chips=1) == 0
    alone = predict(program(), chip, chips=1, dtype="float32")
    assert [alone.efficiency(overlapped=overlapped) for overlapped in (False, True)] == [1, 1]
    assert alone.links == 0
    assert alone.step(overlapped=False) == max(FLOPS / chip.flops["float32"], 1e9 / chip.bandwidth)


@chips_by_name
def test_efficiency_falls_with_chips_and_bytes(chip):
    shares = efficiencies(chip)
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[-1] < 1
    assert efficiencies(chip, size=10 * SIZE)[6] < shares[6] < efficiencies(chip, flops=10 * FLOPS)[6]


@chips_by_name
def test_overlapped_communication_takes_no_time(chip):
    bare, hidden = (efficiencies(chip, overlapped=overlapped)[9] for overlapped in (False, True))
    assert bare < hidden <= 1
    assert efficiencies(chip, overlapped=True, flops=1e18)[9] == 1


@chips_by_name
def test_the_larger_bound_of_the_chip_is_its_compute_time(chip):
    starved = predict(program(accessed=1e13), chip, chips=8, dtype="float32")
    assert (starved.limit, starved.compute) == ("bandwidth", 1e13 / chip.bandwidth)
    busy = predict(program(flops=1e16), chip, chips=8, dtype="float32")
    assert (busy.limit, busy.compute) == ("arithmetic", 1e16 / chip.flops["float32"])
    talking = predict(program(size=10**13), chip, chips=8, dtype="float32")
    assert talking.limit == "links"
    assert talking.step(overlapped=True) == talking.links
    assert talking.step(overlapped=False) == talking.links + talking.compute


def test_within_a_group_a_ring_needs_twice_the_bytes_over_the_bandwidth():
    chip = CHIPS["H100"]
    assert all_reduce_seconds(1e12, chip, chips=8) == pytest.approx(2 * 7 / 8 * 1e12 / 450e9, rel=1e-4)


def test_between_groups_each_chip_sends_its_part():
    chip = CHIPS["H100"]
    between = all_reduce_seconds(1e12, chip, chips=16) - all_reduce_seconds(1e12, chip, chips=8)
    assert between == pytest.approx(2 * 1 / 2 * 1e12 / 8 / 50e9, rel=1e-3)


def test_every_collective_of_the_program_counts():
    chip = CHIPS["H100"]
    reduced = all_reduce_seconds(SIZE, chip, chips=64)
    assert link_seconds(program(), chip, chips=64) == reduced
    many = link_seconds(program(collectives={"all-reduce": 17}), chip, chips=64)
    assert many - reduced == pytest.approx(16 * 2 * (3 * LATENCY["fast"] + 3 * LATENCY["slow"]))
    both = link_seconds(program(collectives={"all-reduce": 1, "collective-permute": 2}), chip, chips=64)
    assert both - reduced == pytest.approx(SIZE / chip.slow + 2 * LATENCY["slow"])
    gathers = link_seconds(program(collectives={"all-gather": 1}), chip, chips=64)
    assert gathers == reduced / 2


def rows_file(folder, *, accepted=True):
    case = ahead.Case("lw_drgn_lol_small", "train", "tpu:v5e:2x2", 1, (64, 64))
    result = program() if accepted else program() | {"accepted": False, "refusal": "Used 20G of 16G hbm"}
    row = {**{"case": dataclasses.asdict(case), "dtype": "float32", "result": result, "error": ""}}
    file = folder / "rows.jsonl"
    file.write_text(json.dumps({**row, "fingerprint": "", "twin": ""}) + "\n")
    return file


def command(file, *flags, target="tpu:v5e:2x2"):
    argv = ["predict", "--config", "lw_drgn_lol_small", "--target", target, "--json", str(file), *flags]
    __main__.main(argv)


def test_the_command_predicts_from_compiled_rows(tmp_path, capsys):
    command(rows_file(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    assert [row[1] for row in table] == ["1", "8", "64", "512", "4096"]
    for row in table:
        found = predict(program(), CHIPS["TPU v5e"], chips=int(row[1]), dtype="float32")
        assert row[0] == "TPU v5e"
        assert row[2:5] == [f"{1e3 * x:.3f}" for x in (found.arithmetic, found.bandwidth, found.links)]
        assert row[5] == found.limit
        assert row[-1] == f"{100 * found.efficiency(overlapped=False):.1f} to 100.0"


def test_a_program_that_does_not_fit_has_no_prediction(tmp_path):
    with pytest.raises(UserError, match="Used 20G of 16G hbm"):
        command(rows_file(tmp_path, accepted=False))


def test_only_data_parallelism_of_chips_is_predicted(tmp_path):
    with pytest.raises(UserError, match=r"data parallelism only.*mesh\.fsdp=1"):
        command(rows_file(tmp_path), "--config.mesh.fsdp=2")
    with pytest.raises(UserError, match="no published figures"):
        command(rows_file(tmp_path), target="cpu:8")
