"""train.on_nonfinite = "rollback": restart from the checkpoint before the bad steps with a smaller learning rate."""

import json
import sys

import numpy as np
import pytest

import input_pipeline
from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.optimizer import make_schedule
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.meter import NonFiniteError
from ultrabm_jax.training.rollback import add_rollback, read_rollbacks, with_reduced_rate

ROLLBACK = {
    "train.on_nonfinite": "rollback",
    "train.max_nonfinite_steps": 2,
    "eval.every": 0,
    "train.rollback_factor": 0.25,
}


@pytest.fixture(autouse=True)
def no_tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "clu", None)


@pytest.fixture
def poison(monkeypatch):
    """`poison({5, 6}, times=1)`: the references of steps 5 and 6 are NaN in the first attempt."""
    batches = input_pipeline.train_batches

    def put(steps, *, times):
        attempts = []

        def poisoned(*args, start_step, **kwargs):
            attempts.append(start_step)
            for step, batch in enumerate(batches(*args, start_step=start_step, **kwargs), start_step + 1):
                if step in steps and len(attempts) <= times:
                    batch = batch | {"reference": np.full(batch["reference"].shape, np.nan, np.float32)}
                yield batch

        monkeypatch.setattr(input_pipeline, "train_batches", poisoned)
        return attempts

    return put


def rates(workdir):
    lines = [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]
    return {line["step"]: line["learning_rate"] for line in lines if "learning_rate" in line}


def test_a_run_rolls_back_and_continues_with_a_smaller_rate(config, tmp_path, poison, capsys):
    """Restarted with more steps, it keeps the smaller rate."""
    usual = config(**ROLLBACK)
    attempts = poison({5, 6}, times=1)
    state = train_and_evaluate(usual, tmp_path / "run")
    assert int(state.step) == 8
    assert attempts == [0, 4]  # a checkpoint every second step; that of step 6 is not before the bad ones
    assert json.loads((tmp_path / "run" / "rollbacks.json").read_text()) == [5]
    found = rates(tmp_path / "run")
    assert set(found) == set(range(1, 9))
    schedule = make_schedule(usual.train)
    for step, rate in found.items():
        assert rate == pytest.approx(float(schedule(step - 1)) * (1 if step <= 4 else 0.25), rel=1e-5)
    said = [line for line in capsys.readouterr().err.splitlines() if "rollback 1 of 3" in line]
    assert len(said) == 1
    assert "loss/r = nan" in said[0]
    longer = config(**ROLLBACK | {"train.steps": 9})
    train_and_evaluate(longer, tmp_path / "run")
    assert rates(tmp_path / "run")[9] == pytest.approx(0.25 * float(make_schedule(longer.train)(8)), rel=1e-5)


def test_the_run_ends_after_the_last_rollback(config, tmp_path, poison):
    attempts = poison({5, 6}, times=99)
    with pytest.raises(NonFiniteError, match=r"^step 6: not finite: .*loss/r = nan"):
        train_and_evaluate(config(**ROLLBACK | {"train.max_rollbacks": 1}), tmp_path / "run")
    assert attempts == [0, 4]


def test_every_rate_of_the_schedule_is_smaller(config):
    usual = config(train__cycles=((1, 1e-3), (2, 5e-4, 1e-5)))
    slower = with_reduced_rate(usual, 2)
    assert slower.train.learning_rate == usual.train.learning_rate / 4
    np.testing.assert_allclose(slower.train.cycles[0], (1, 1e-3 / 4))
    np.testing.assert_allclose(slower.train.cycles[1], (2, 5e-4 / 4, 1e-5 / 4))
    assert usual.train.cycles[0] == (1, 1e-3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"train.on_nonfinite": "ignore"}, "unknown train.on_nonfinite 'ignore'; known: stop, rollback"),
        ({"train.rollback_factor": 1.5}, r"train\.rollback_factor is 1\.5"),
    ],
)
def test_invalid_settings_are_refused(config, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message):
        train_and_evaluate(config(**overrides), tmp_path / "run")


def test_rollbacks_of_an_earlier_release_still_count(tmp_path):
    (tmp_path / "returns.json").write_text("[5]\n")
    assert read_rollbacks(tmp_path) == [5]
    add_rollback(tmp_path, 9)
    assert json.loads((tmp_path / "rollbacks.json").read_text()) == [5, 9]
    assert read_rollbacks(tmp_path) == [5, 9]
