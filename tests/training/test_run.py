"""`train_and_evaluate` and `load_run` with the tiny network on five pairs of images."""

import importlib
import json
import os
import re
import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from tiny import digest, tiny_config

import input_pipeline
from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.methods import METHODS, UltraBMMethod
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.training import plan, train_and_evaluate
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.lock import hold_workdir
from ultrabm_jax.training.meter import NonFiniteError
from ultrabm_jax.training.validation import Validation


@pytest.fixture(autouse=True)
def no_tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "clu", None)  # importing TensorFlow takes longer than these tests


def equal(a, b):
    return digest(a) == digest(b)


def log(workdir):
    return [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]


def checkpoints(workdir):
    folder = workdir / "checkpoints"
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.exists() else []


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pairs):
    """(workdir, final state) of eight steps over two stages, with a frozen part."""
    workdir = tmp_path_factory.mktemp("run")
    roots = {"data.root": str(pairs), "data.eval_root": str(pairs)}
    config = tiny_config(**roots, **{"model.semantic": "vgg16", "train.stages": ((4, 4, 16), (4, 2, 16))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "clu", None)
        return config, workdir, train_and_evaluate(config, workdir)


def test_workdir_contains_the_documented_files(finished):
    _, workdir, state = finished
    assert int(state.step) == 8
    assert {path.name for path in workdir.iterdir()} == {"config.json", "checkpoints", "frozen", "train.jsonl"}
    assert {6, 8} <= set(checkpoints(workdir))
    assert 1 <= len(checkpoints(workdir)) <= 3


def test_every_step_is_logged_with_each_loss_term_by_its_name(finished):
    _, workdir, _ = finished
    lines = [line for line in log(workdir) if "loss/total" in line]
    assert [line["step"] for line in lines] == list(range(1, 9))
    for line in lines:
        assert {"loss/sl", "loss/is", "loss/r", "grad_norm", "learning_rate", "images_per_second"} < set(line)
        assert line["images_per_second"] > 0
        assert line["loss/total"] == pytest.approx(line["loss/sl"] + line["loss/is"] + line["loss/r"], rel=1e-5)
    assert [line["step"] for line in log(workdir) if "eval/psnr_rgb" in line] == [4, 8]


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


def test_a_finished_run_started_again_changes_nothing(finished, capsys):
    config, workdir, state = finished
    before = (workdir / "train.jsonl").read_text(), checkpoints(workdir)
    again = train_and_evaluate(config, workdir)
    assert equal(again, state)
    assert ((workdir / "train.jsonl").read_text(), checkpoints(workdir)) == before
    assert "nothing to do: the run has finished step 8 (config asks for 8)" in capsys.readouterr().err


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


def test_an_image_that_becomes_unreadable_costs_no_step(finished, tmp_path, monkeypatch, capsys):
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
    return {step: Checkpoints(workdir, metric="psnr_rgb", reading=True).scores(step) for step in checkpoints(workdir)}


def test_a_broken_evaluation_image_costs_no_step_and_no_score(finished, tmp_path, monkeypatch, capsys):
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


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_checkpoint_before(config, tmp_path, monkeypatch):
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


def test_workdir_in_use_is_refused_and_unchanged(finished):
    config, workdir, _ = finished
    before = sorted(workdir.rglob("*"))
    message = rf"another run is writing in .*: process {os.getpid()} on "
    with hold_workdir(workdir), pytest.raises(UserError, match=message):
        train_and_evaluate(config, workdir)
    assert sorted(workdir.rglob("*")) == before


def damage(workdir, step):
    """Cuts the largest file of a checkpoint."""
    files = [path for path in (workdir / "checkpoints" / str(step) / "default").rglob("*") if path.is_file()]
    path = max(files, key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:100])


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


BAD = {
    "no data root": ({"data.root": "/nowhere/at/all"}, "/nowhere/at/all"),
    "small images": ({"data.patch_size": 32}, "smaller than the 32x32 patch"),
    "unknown model": ({"model.name": "ultrabn"}, "no method trains model 'ultrabn'; known: .*ultrabm"),
    "unknown dataset": ({"data.dataset": "lola"}, "data.dataset='lola' is not known; choose one of: .*lol"),
    "unknown protocol": ({"eval.best": "psmr"}, "unknown eval.best 'psmr'; known: .*psnr_rgb"),
    "unknown loader": ({"data.loader": "torch"}, "data.loader='torch' is not known"),
    "no log": ({"log_every": 0}, "log_every is 0; it must be at least 1"),
    "no checkpoints": ({"checkpoint.every": 0}, "checkpoint.every is 0; it must be at least 1"),
    "mesh": ({"mesh.data": 3}, "mesh data=3, fsdp=1, spatial=1 does not fit"),
}


@pytest.mark.parametrize(("overrides", "message"), BAD.values(), ids=BAD)
def test_invalid_input_gives_one_line_before_the_first_checkpoint(config, tmp_path, overrides, message):
    with pytest.raises(UserError, match=message) as error:
        train_and_evaluate(config(**overrides), tmp_path / "run")
    assert not checkpoints(tmp_path / "run")
    if overrides.keys() != {"data.root"}:  # that one draws the expected folders
        assert "\n" not in str(error.value)


def test_indivisible_batch_is_refused(config, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "batch_devices", lambda mesh: 8)
    with pytest.raises(UserError, match=r"batch of 4 is not divisible by the 8 devices .*data\.batch_size=8$"):
        train_and_evaluate(config(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_failed_start_leaves_the_workdir_free_for_another_model(config, tmp_path):
    with pytest.raises(UserError, match="vgg19 needs the file"):
        train_and_evaluate(
            config(**{"loss.lambda_p": 1.0, "loss.perceptual": "vgg19", "data.assets": "/nowhere"}), tmp_path
        )
    assert not (tmp_path / "config.json").exists()


def test_workdir_of_another_model_is_refused_and_unchanged(finished):
    config, workdir, _ = finished
    before = (workdir / "config.json").read_text()
    other = config.copy_and_resolve_references()
    other.model.stream = "one"
    with pytest.raises(UserError, match=r"model\.stream is 'dual' there, 'one' here"):
        train_and_evaluate(other, workdir)
    assert (workdir / "config.json").read_text() == before


def test_mismatched_config_does_not_replace_the_saved_one(finished):
    config, workdir, _ = finished
    before = (workdir / "config.json").read_text()
    other = config.copy_and_resolve_references()
    other.train.ema_decay = 0.0
    with pytest.raises(
        UserError, match=r"checkpoints/8 does not fit this model: ema/first/bias is \(64,\) there, missing"
    ):
        train_and_evaluate(other, workdir)
    assert (workdir / "config.json").read_text() == before
    assert load_run(workdir).step == 8


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


def test_warning_of_a_method_is_logged_once_until_it_clears(config, tmp_path, monkeypatch, capsys):
    due = {2, 3, 6}

    def warnings(self, step, scalars):
        assert scalars["loss/total"] > 0
        return {"dark": "all is dark"} if step in due else {}

    monkeypatch.setattr(UltraBMMethod, "warnings", warnings)
    train_and_evaluate(config(), tmp_path)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert said == ["warning: step 2: all is dark", "warning: step 6: all is dark"]
