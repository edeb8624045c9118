"""Gradients are reduced over `data` once per step, also with loops in the loss and with microbatches."""

import json

import jax
import pytest
import two_phases

from ultrabm_jax.scaling.step import trace_for
from ultrabm_jax.training.sharding import AXES

TOLERANCE = 2e-6  # sums in another order; measured: 5.0e-7
SCALARS = 16  # bytes: the loss and the auxiliary outputs


@pytest.fixture(scope="module")
def report(python):
    done = python("tests/training/reductions.py", devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


CASES = [f"{mesh}, {microbatches}" for mesh in ("data", "fsdp", "spatial") for microbatches in (1, 2)]


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_scalars_are_reduced_once(report, case):
    over_data = [r for r in report[case]["reductions"] if r[0] == (8 if case.startswith("data") else 4)]
    assert [times for _, _, times in over_data] == [1]
    assert over_data[0][1] == report["parameters"] + SCALARS


@pytest.mark.parametrize("microbatches", [1, 2])
def test_with_data_parallelism_alone_there_is_no_other_reduction(report, microbatches):
    assert len(report[f"data, {microbatches}"]["reductions"]) == 1


@pytest.mark.parametrize("microbatches", [1, 2])
def test_loss_and_gradients_of_one_device_have_no_collectives(report, microbatches):
    assert report[f"one, {microbatches}"]["reductions"] == []


@pytest.mark.parametrize("case", [*CASES, "one, 2", "fsdp only, 1", "fsdp only, 2"])
def test_loss_and_gradients_equal_those_of_one_device(report, case):
    assert report[case]["apart"] < TOLERANCE


@pytest.mark.parametrize("case", CASES)
def test_nonfinite_values_of_one_device_reach_all(report, case):
    value, flag = report[case]["exploded"]  # a metric that counts where its flag is not 0
    assert value == float("inf")
    assert 0 < flag < 1
    assert report[case]["nonfinite"]


@pytest.mark.parametrize("phase", [0, 1])
def test_losses_with_other_networks_are_traced_for_one_devices_examples(tmp_path, phase):
    """DRGN's read critics or DeG; JAX refuses to index an array of the whole mesh inside a device's part."""
    mesh = jax.sharding.AbstractMesh((2, 1, 1), AXES, axis_types=(jax.sharding.AxisType.Auto,) * len(AXES))
    config = two_phases.settings(tmp_path, **{"train.accumulate": 2})
    traced, _ = trace_for(config, mesh, per_device=2, patch=16, phase=phase)
    assert "shard_map" in str(traced.jaxpr)
