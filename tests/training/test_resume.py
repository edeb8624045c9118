"""An interrupted run continues with the result of an uninterrupted one."""

import re
import shutil

import pytest
from run_files import checkpoints, damage, equal, log

import input_pipeline
from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.checkpoint_reader import CheckpointReader
from ultrabm_jax.training.validation import Validation

pytestmark = pytest.mark.usefixtures("no_tensorboard")


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_resumed_run_equals_an_uninterrupted_run(finished, tmp_path, monkeypatch, capsys, stop):
    """Stops before, at and after the boundary between the two stages."""
    config, _, state = finished
    batches = input_pipeline.train_batches

    def stopped(*args, start_step, **kwargs):
        for step, batch in enumerate(batches(*args, start_step=start_step, **kwargs), start_step):
            if step == stop + 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(input_pipeline, "train_batches", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(config, tmp_path)
    assert max(checkpoints(tmp_path)) == stop
    assert [line["step"] for line in log(tmp_path) if "loss/total" in line] == list(range(1, stop + 2))
    monkeypatch.setattr(input_pipeline, "train_batches", batches)
    capsys.readouterr()
    again = train_and_evaluate(config, tmp_path)
    assert f"resuming from checkpoint {stop} of 8" in capsys.readouterr().err
    assert equal(again, state)
    assert [line["step"] for line in log(tmp_path) if "loss/total" in line] == list(range(1, 9))


def test_unreadable_image_ends_the_run_without_losing_a_step(finished, tmp_path, monkeypatch, capsys):
    config, _, state = finished
    batches = input_pipeline.train_batches

    def unreadable(*args, start_step, **kwargs):
        for step, batch in enumerate(batches(*args, start_step=start_step, **kwargs), start_step):
            if step == 5:
                raise UserError("low/3.png is damaged")
            yield batch

    monkeypatch.setattr(input_pipeline, "train_batches", unreadable)
    with pytest.raises(UserError, match=r"^low/3\.png is damaged$"):
        train_and_evaluate(config, tmp_path)
    assert max(checkpoints(tmp_path)) == 5  # checkpoint.every is 2
    assert "stopped by an error; step 5 is saved, and the same command continues from it" in capsys.readouterr().err
    with pytest.raises(UserError, match="damaged"):  # no new step: nothing to save
        train_and_evaluate(config, tmp_path)
    monkeypatch.setattr(input_pipeline, "train_batches", batches)
    assert equal(train_and_evaluate(config, tmp_path), state)


def scores(workdir):
    return {step: CheckpointReader(workdir, metric="psnr_rgb").scores(step) for step in checkpoints(workdir)}


def test_unreadable_evaluation_image_loses_no_step_and_no_score(finished, tmp_path, monkeypatch, capsys):
    """With checkpoints only where the run evaluates; the resumed run first evaluates the step that it missed."""
    config, workdir, state = finished
    call = Validation.__call__

    def broken(*args, **kwargs):
        raise UserError("high/0.png is damaged")

    sparse = config.copy_and_resolve_references()
    sparse.checkpoint.every = 1000
    monkeypatch.setattr(Validation, "__call__", broken)
    for _ in range(2):  # the second start resumes from step 4 and ends at its evaluation again
        with pytest.raises(UserError, match=r"^high/0\.png is damaged$"):
            train_and_evaluate(sparse, tmp_path)
        assert scores(tmp_path) == {4: {}}
    monkeypatch.setattr(Validation, "__call__", call)
    capsys.readouterr()
    assert equal(train_and_evaluate(sparse, tmp_path), state)
    assert "resuming from checkpoint 4 of 8" in capsys.readouterr().err
    evaluated = [line for line in log(tmp_path) if "eval/psnr_rgb" in line]
    assert evaluated == [line for line in log(workdir) if "eval/psnr_rgb" in line]
    assert scores(tmp_path) == {line["step"]: {"psnr_rgb": line["eval/psnr_rgb"]} for line in evaluated}


def test_run_resumes_from_the_checkpoint_before_a_damaged_one(finished, tmp_path, capsys):
    config, workdir, state = finished
    shutil.copytree(workdir, tmp_path / "run")
    damage(tmp_path / "run", 8)
    assert load_run(tmp_path / "run").step == 6
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert re.search(r"^warning: checkpoint .*/8 is damaged \(.* of [\d,]+ bytes\); checkpoint 6 is used$", said[0])
    with pytest.raises(UserError, match="checkpoints/8 is damaged"):
        load_run(tmp_path / "run", step=8)

    again = train_and_evaluate(config, tmp_path / "run")
    said = capsys.readouterr().err
    assert "resuming from checkpoint 6" in said
    assert "resuming from checkpoint 6 of 8" in said
    assert equal(again, state)
    assert load_run(tmp_path / "run").step == 8
