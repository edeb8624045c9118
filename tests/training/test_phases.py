"""Methods with several phases: how the loop splits stages, and DRGN runs that stop around its phase switch."""

import json

import pytest

from ultrabm_jax.stages import Stage
from ultrabm_jax.training.plan import split_at_phases


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ((0,), [(0, 4, 0), (4, 10, 0)]),
        ((0, 2), [(0, 2, 0), (2, 4, 2), (4, 10, 2)]),
        ((0, 4), [(0, 4, 0), (4, 10, 4)]),
        ((0, 7, 8), [(0, 4, 0), (4, 7, 0), (7, 8, 7), (8, 10, 8)]),
        ((0, 10), [(0, 4, 0), (4, 10, 0)]),
        ((0, 50), [(0, 4, 0), (4, 10, 0)]),
    ],
)
def test_stages_are_split_where_the_phase_changes(phases, expected):
    stages = [Stage(0, 4, 8, 16), Stage(4, 10, 2, 32)]
    programs = list(split_at_phases(stages, {first: f"from {first}" for first in phases}))
    assert [(part.start, part.stop, step) for part, step in programs] == [
        (start, stop, f"from {first}") for start, stop, first in expected
    ]
    for part, _ in programs:
        assert (part.batch_size, part.patch_size) == ((8, 16) if part.start < 4 else (2, 32))


@pytest.fixture(scope="module")
def report(python, tmp_path_factory):
    done = python("tests/training/two_phases.py", str(tmp_path_factory.mktemp("phases")))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("stop", ["2", "3"])
def test_run_resumed_around_the_switch_equals_an_uninterrupted_run(report, stop):
    assert report[stop] == report["whole"]


def test_extended_run_keeps_its_switch_and_each_phase_logs_its_own_losses(report):
    """18 steps would make the switch 9."""
    assert report["longer"] == {"step": 18, "switch": 3}
    lines = [json.loads(line) for line in report["log"].splitlines()]
    logged = {line["step"]: [name in line for name in ("loss/kl", "health/i_d", "loss/con")]
              for line in lines if "loss/total" in line}  # fmt: skip
    assert logged == {step: [step <= 3, step <= 3, step > 3] for step in range(1, 19)}


def test_restoring_uses_only_the_generators(report):
    assert report["variables"] == {"params": ["deg", "reg"]}
