"""`load_run`: the variables of a training run, read for inference."""

import importlib
import json
import shutil
import sys

import jax.numpy as jnp
import orbax.checkpoint as ocp
import pytest
from run_files import checkpoints, damage, equal, log

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.methods import METHODS, UltraBMMethod
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training import train_and_evaluate

pytestmark = pytest.mark.usefixtures("no_tensorboard")


def test_load_run_returns_the_variables_of_the_final_state(finished):
    _, workdir, state = finished
    run = load_run(workdir)
    assert run.step == 8
    assert equal(run.variables, {"params": state.ema, "frozen": state.frozen["model"]})
    assert run.model.apply(run.variables, jnp.zeros((1, 5, 7, 3)))["restored"].shape == (1, 10, 14, 3)


def test_load_run_finds_the_best_and_any_step(finished):
    _, workdir, _ = finished
    scores = {line["step"]: line["eval/psnr_rgb"] for line in log(workdir) if "eval/psnr_rgb" in line}
    assert load_run(workdir, best=True).step == max(scores, key=scores.get)
    assert load_run(workdir, step=6).step == 6
    assert not equal(load_run(workdir, step=6).variables["params"], load_run(workdir).variables["params"])
    with pytest.raises(UserError, match="has no checkpoint 5; it has"):
        load_run(workdir, step=5)


def test_frozen_variables_are_read_only_from_the_workdir(finished, monkeypatch):
    _, workdir, state = finished

    def no_weights(self, key):
        raise AssertionError("read the weight file")

    monkeypatch.setattr(UltraBMMethod, "frozen", no_weights)
    assert equal(load_run(workdir).variables["frozen"], state.frozen["model"])


def refuse(*args, **kwargs):
    raise AssertionError("built or read for training")


def test_loading_for_inference_reads_only_parameters_and_builds_no_optimiser_or_method(finished, monkeypatch):
    _, workdir, state = finished
    for name in ("make_optimizer", "make_schedule", "make_gradient_transform"):
        monkeypatch.setattr(f"ultrabm_jax.optim.optimizer.{name}", refuse)
    monkeypatch.setattr("ultrabm_jax.methods.base.make_optimizer", refuse)
    monkeypatch.setattr("ultrabm_jax.methods.base.make_schedule", refuse)
    monkeypatch.setattr(TrainState, "__init__", refuse)
    monkeypatch.setattr(ocp.CheckpointManager, "restore", refuse)  # of the whole state
    for name in METHODS:
        monkeypatch.setitem(METHODS, name, refuse)
    run = load_run(workdir)
    assert equal(run.variables["params"], state.ema)
    restored = run.task.restore(run.variables, {"low": jnp.zeros((1, 5, 7, 3))})
    assert restored.shape == (1, 10, 14, 3)
    assert not equal(state.ema, state.params)


def test_parameters_are_read_without_a_moving_average(config, tmp_path):
    state = train_and_evaluate(config(train__ema_decay=0.0, train__steps=2), tmp_path)
    assert equal(load_run(tmp_path).variables["params"], state.params)


def test_run_opens_while_another_configs_package_is_first_on_the_path(finished, tmp_path, monkeypatch):
    _, workdir, state = finished
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "__init__.py").write_text("raise RuntimeError('configs of another project')")
    monkeypatch.delitem(sys.modules, "configs", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="another project"):
        importlib.import_module("configs")
    assert equal(load_run(workdir).variables["params"], state.ema)


def test_next_best_checkpoint_replaces_a_damaged_best(finished, tmp_path, capsys):
    _, workdir, _ = finished
    shutil.copytree(workdir, tmp_path / "run")
    evaluated = {line["step"] for line in log(workdir) if "eval/psnr_rgb" in line} & set(checkpoints(workdir))
    best = load_run(workdir, best=True).step
    damage(tmp_path / "run", best)
    capsys.readouterr()
    if evaluated == {best}:
        with pytest.raises(UserError, match=f"checkpoints/{best} is damaged"):
            load_run(tmp_path / "run", best=True)
    else:
        assert load_run(tmp_path / "run", best=True).step in evaluated - {best}
        assert f"checkpoints/{best} is damaged" in capsys.readouterr().err


def test_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"holds no run: config\.json is missing"):
        load_run(tmp_path)


def test_run_without_a_checkpoint_is_an_error(finished, tmp_path):
    _, workdir, _ = finished
    (tmp_path / "config.json").write_text((workdir / "config.json").read_text())
    with pytest.raises(UserError, match="holds no checkpoint yet"):
        load_run(tmp_path)


def test_config_without_a_newer_field_can_be_read(config, tmp_path):
    train_and_evaluate(config(), tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    for section, field in (("train", "warmup"), ("data", "records"), ("data", "in_memory_placement")):
        del content["config"][section][field]
    path.write_text(json.dumps(content))
    run = load_run(tmp_path)
    assert (run.config.train.warmup, run.config.data.records, run.step) == (0, "", 8)
    assert run.config.train.steps == 8
