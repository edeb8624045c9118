"""What a run says and keeps when it resumes with a changed config."""

import contextlib
import json
import shutil
import sys

import jax.numpy as jnp
import pytest
from tiny import tiny_config

from ultrabm_jax.errors import UserError
from ultrabm_jax.optim.optimizer import make_gradient_transform
from ultrabm_jax.optim.state import TrainState
from ultrabm_jax.stages import Stage
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.checkpoint_reader import Misfit
from ultrabm_jax.training.checkpoints import Checkpoints
from ultrabm_jax.training.resume import changed_fields, describe_changes
from ultrabm_jax.training.workdir import write_config

pytestmark = pytest.mark.usefixtures("no_tensorboard")


def described(before, now, *, step=4, **options):
    return describe_changes(tiny_config(**before), tiny_config(**now), step=step, **{"stages": ()} | options)


def test_each_changed_field_is_one_line_with_its_old_and_new_value():
    before = {"data.root": "", "train.betas": (0.9, 0.999), "data.darkness.ev": (-5.0, -2.5)}
    now = {"data.root": "/data/b", "train.betas": (0.9, 0.99), "data.darkness.ev": (-4.0, -2.5), "data.workers": 3}
    assert described({**before, "data.workers": 1}, now) == [
        "data.root: '' -> /data/b",
        "data.workers: 1 -> 3",
        "data.darkness.ev: (-5.0, -2.5) -> (-4.0, -2.5)",
        "train.betas: (0.9, 0.999) -> (0.9, 0.99)",
    ]


def test_a_config_that_was_read_from_json_equals_itself():
    config = tiny_config()
    saved = type(config)(json.loads(config.to_json_best_effort()))
    assert changed_fields(saved, config) == {}


CYCLES = {"train.cycles": ((1, 0.0),), "train.learning_rate": 1e-3}


def test_an_extended_run_states_its_new_learning_rate():
    lines = described({**CYCLES, "train.steps": 8}, {**CYCLES, "train.steps": 16}, step=8)
    assert lines == [
        "train.steps: 8 -> 16",
        "learning rate: 0.0005 at step 8 (before: 0), 9.61e-06 at step 15",  # 1e-3 (1 + cos(pi t / 16)) / 2
    ]


def test_the_learning_rate_of_a_single_remaining_step_is_stated_once():
    lines = described({**CYCLES, "train.steps": 8}, {**CYCLES, "train.steps": 9}, step=8)
    assert lines[1:] == ["learning rate: 3.02e-05 at step 8 (before: 0)"]


def test_a_field_that_changes_no_remaining_step_is_reported_as_such():
    own_rates = {"train.cycles": ((1, 1e-4, 1e-5),)}  # RED's form, which ignores train.learning_rate
    lines = described({**own_rates, "train.learning_rate": 1e-3}, {**own_rates, "train.learning_rate": 5e-4})
    assert lines == ["train.learning_rate: 0.001 -> 0.0005", "learning rate from step 4 on: as before"]
    lines = described({"train.warmup": 2}, {"train.warmup": 3})
    assert lines == ["train.warmup: 2 -> 3", "learning rate from step 4 on: as before"]


def test_rollbacks_reduce_the_stated_learning_rate():
    constant = {"train.cycles": ((1, 1e-3, 1e-3),), "train.rollback_factor": 0.1}
    (_, line) = described({**constant, "train.steps": 8}, {**constant, "train.steps": 6}, rollbacks=2)
    assert line == "learning rate from step 4 on: as before"
    (_, line) = described(constant, {**constant, "train.rollback_factor": 0.5}, rollbacks=2)
    assert line == "learning rate: 0.00025 at step 4 (before: 1e-05), 0.00025 at step 7"


def test_ignored_fields_and_new_stages_are_explained():
    before, now = tiny_config(), tiny_config(**{"train.stages": ((4, 4, 16), (4, 2, 16)), "seed": 1})
    before.train.deg_share, now.train.deg_share = 0.5, 0.25
    stages = [Stage(0, 4, 4, 16), Stage(4, 8, 2, 16)]
    assert describe_changes(before, now, step=4, stages=stages) == [
        "seed: 100 -> 1; changes the order of the images and all later random draws; the parameters are the "
        "checkpoint's",
        "train.stages: () -> ((4, 4, 16), (4, 2, 16))",
        "train.deg_share: 0.5 -> 0.25; no effect: the checkpoint holds the step at which the second phase begins",
        "stages from step 4 on: to step 8 batch 2, patch 16",
    ]


@pytest.fixture(scope="module")
def four_steps(tmp_path_factory, pairs):
    """(workdir, config) of a run of four steps."""
    workdir = tmp_path_factory.mktemp("four_steps")
    config = tiny_config(**{"data.root": str(pairs), "data.eval_root": str(pairs), "train.steps": 4})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "clu", None)
        train_and_evaluate(config, workdir)
    return workdir, config


@pytest.fixture
def run(four_steps, tmp_path):
    """A copy of the run of four steps, and `run.again(**changes)`, which starts it again."""
    shutil.copytree(four_steps[0], tmp_path / "run")

    def again(**changes):
        config = four_steps[1].copy_and_resolve_references()
        config.update_from_flattened_dict({name.replace("__", "."): value for name, value in changes.items()})
        return train_and_evaluate(config, tmp_path / "run")

    again.workdir = tmp_path / "run"
    return again


def contents(workdir):
    return {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def saved_config(path):
    return json.loads(path.read_text())["config"]


def test_a_resumed_run_reports_what_changed_and_keeps_the_earlier_config(run, capsys):
    before = (run.workdir / "config.json").read_text()
    state = run(train__steps=6, train__learning_rate=5e-4)
    assert int(state.step) == 6
    said = capsys.readouterr().err.splitlines()
    (start,) = (i for i, line in enumerate(said) if line.endswith("; resuming from checkpoint 4 of 6"))
    assert said[start + 1 : start + 3] == [
        "changed: train.steps: 4 -> 6",
        "changed: train.learning_rate: 0.001 -> 0.0005",
    ]
    assert said[start + 3].startswith("changed: learning rate: ")
    assert (run.workdir / "earlier_configs" / "4.json").read_text() == before
    assert saved_config(run.workdir / "config.json")["train"]["steps"] == 6
    run(train__steps=8, train__learning_rate=5e-4)
    kept = {path.name: saved_config(path)["train"]["steps"] for path in (run.workdir / "earlier_configs").iterdir()}
    assert kept == {"4.json": 4, "6.json": 6}


def test_an_unchanged_resume_reports_no_change(run, capsys):
    run(train__steps=6)
    shutil.rmtree(run.workdir / "checkpoints" / "6")
    capsys.readouterr()
    run(train__steps=6)
    said = capsys.readouterr().err
    assert "resuming from checkpoint 4 of 6" in said
    assert "changed:" not in said


def test_starts_from_one_step_keep_every_config(tmp_path):
    for seed in (1, 2, 3, 3):
        write_config(tmp_path, tiny_config(seed=seed), step=4)
    folder = tmp_path / "earlier_configs"
    assert {path.name: saved_config(path)["seed"] for path in folder.iterdir()} == {"4.json": 1, "4.2.json": 2}
    shutil.copy(tmp_path / "config.json", folder / "4.3.json")  # killed before config.json was replaced
    write_config(tmp_path, tiny_config(seed=4), step=4)
    assert sorted(path.name for path in folder.iterdir()) == ["4.2.json", "4.3.json", "4.json"]
    assert saved_config(tmp_path / "config.json")["seed"] == 4


def test_fewer_steps_than_the_checkpoint_are_refused(run):
    before = contents(run.workdir)
    message = (
        r"^\S+/run has a checkpoint of step 4, and train\.steps is 3: a run cannot go back; "
        r"set --config\.train\.steps to 4 or more, or use another --workdir$"
    )
    with pytest.raises(UserError, match=message):
        run(train__steps=3)
    assert contents(run.workdir) == before


def test_a_finished_run_with_a_changed_config_rewrites_nothing(run, capsys):
    before = contents(run.workdir)
    run(train__learning_rate=5e-4)
    assert contents(run.workdir) == before
    assert capsys.readouterr().err.endswith(
        "; nothing to do: the run has finished its 4 steps; to extend it, raise --config.train.steps; "
        "changed fields have no effect: train.learning_rate\n"
    )


@pytest.mark.parametrize(
    ("field", "value", "line", "keep"),
    [
        ("train.optimizer", "adam", "train.optimizer: adamw -> adam", "--config.train.optimizer=adamw"),
        ("train.grad_clip", 0.0, "train.grad_clip: 0.01 -> 0.0", "--config.train.grad_clip=0.01"),
        ("train.ema_decay", 0.0, "train.ema_decay: 0.5 -> 0.0", "--config.train.ema_decay=0.5"),
    ],
)
def test_a_config_that_needs_another_state_is_one_line(run, field, value, line, keep):
    before = contents(run.workdir)
    with pytest.raises(UserError) as error:
        run(train__steps=6, **{field: value})
    assert str(error.value) == (
        f"the checkpoint does not fit the changed config, {line}; resume with {keep}, or use another --workdir"
    )
    assert contents(run.workdir) == before


def test_an_optimiser_that_differs_in_a_part_without_arrays_does_not_count_as_damage(tmp_path):
    """DRGN's adamw is its adam and a weight decay, which has no state."""

    def state(optimizer):
        transform = make_gradient_transform(tiny_config(**{"train.optimizer": optimizer}).train)
        params = {"kernel": jnp.ones((2, 3))}
        return TrainState(jnp.int32(1), params, transform.init(params), ema=None, frozen=None)

    with contextlib.closing(Checkpoints(tmp_path, metric="psnr_rgb")) as checkpoints:
        checkpoints.save(state("adamw"))
        checkpoints.wait()
        with pytest.raises(Misfit, match=r"/1 does not fit this model: opt_state/2 is empty there, missing here$"):
            checkpoints.resume(state("adam"))
        assert checkpoints.resume(state("adamw"))[0] == 1


def test_settings_of_the_same_state_can_change(run):
    assert int(run(train__steps=6, train__grad_clip=0.1, train__ema_decay=0.9, train__weight_decay=0.0).step) == 6


def test_another_model_is_one_line(run):
    with pytest.raises(UserError, match=r"holds another model's run: model\.stream is 'dual' there, 'one' here; use"):
        run(model__stream="one", train__steps=6)
