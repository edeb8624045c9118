"""Steps whose loss or gradient is not finite are skipped, or stop the run."""

import jax
import numpy as np
import pytest
from run_files import checkpoints, log

import input_pipeline
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.methods import UltraBMMethod
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.meter import NonFiniteError

pytestmark = pytest.mark.usefixtures("no_tensorboard")


def test_nonfinite_loss_stops_the_run_and_keeps_the_previous_checkpoint(config, tmp_path, monkeypatch):
    batches = input_pipeline.train_batches

    def poisoned(*args, **kwargs):
        for step, batch in enumerate(batches(*args, **kwargs), start=1):
            if step == 6:
                batch = batch | {"reference": np.full(batch["reference"].shape, np.nan, np.float32)}
            yield batch

    monkeypatch.setattr(input_pipeline, "train_batches", poisoned)
    with pytest.raises(NonFiniteError, match=r"^step 6: not finite: .*loss/r = nan"):
        train_and_evaluate(config(train__max_nonfinite_steps=1), tmp_path)
    assert max(checkpoints(tmp_path)) == 4
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(load_run(tmp_path).variables))
    assert all(line["step"] < 6 for line in log(tmp_path))


@pytest.fixture
def poison(monkeypatch):
    """`poison(3, 5)`: the references of steps 3 and 5 are NaN."""
    batches = input_pipeline.train_batches

    def put(*steps):
        def poisoned(*args, start_step, **kwargs):
            for step, batch in enumerate(batches(*args, start_step=start_step, **kwargs), start_step + 1):
                if step in steps:
                    batch = batch | {"reference": np.full(batch["reference"].shape, np.nan, np.float32)}
                yield batch

        monkeypatch.setattr(input_pipeline, "train_batches", poisoned)

    return put


def test_single_nonfinite_steps_are_skipped_and_logged(config, tmp_path, poison, capsys):
    poison(3, 4, 6)
    state = train_and_evaluate(config(train__max_nonfinite_steps=3), tmp_path)
    assert int(state.step) == 8
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    counts = {int(x) for x in jax.tree.leaves(state.opt_state) if x.ndim == 0}
    assert counts == {5}  # steps of the optimiser
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert [line.split(": ")[1] for line in said] == ["step 3", "step 4", "step 6"]
    assert all("loss/r = nan" in line for line in said)
    assert checkpoints(tmp_path)[-1] == 8


def test_too_many_nonfinite_steps_stop_the_run_with_a_resumable_state(config, tmp_path, poison):
    poison(5, 6, 7)
    with pytest.raises(NonFiniteError, match=r"^step 7: not finite: .*loss/r = nan.*, the last of 3 steps in a row"):
        train_and_evaluate(config(train__max_nonfinite_steps=3), tmp_path)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(load_run(tmp_path).variables))


def test_nonfinite_required_step_ends_the_run_immediately(config, tmp_path, poison, monkeypatch):
    """For example LoLiSRFlow's first step, which initialises its normalisations."""
    poison(2)
    monkeypatch.setattr(UltraBMMethod, "required_steps", (2,))
    with pytest.raises(NonFiniteError, match=r"^step 2: not finite: .*loss/r = nan"):
        train_and_evaluate(config(train__max_nonfinite_steps=3), tmp_path)
