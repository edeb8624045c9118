"""`train_and_evaluate` with the tiny network on five pairs of images: workdir, log, and what it refuses."""

import os

import pytest
from run_files import checkpoints, equal, log

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.methods import UltraBMMethod
from ultrabm_jax.training import plan, train_and_evaluate
from ultrabm_jax.training.lock import hold_workdir

pytestmark = pytest.mark.usefixtures("no_tensorboard")


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


def test_a_finished_run_started_again_changes_nothing(finished, capsys):
    config, workdir, state = finished

    def files():
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in workdir.rglob("*") if path.is_file()}

    before = files()
    again = train_and_evaluate(config, workdir)
    assert equal(again, state)
    assert files() == before
    said = capsys.readouterr().err
    assert said.endswith(
        "; nothing to do: the run has finished its 8 steps; to extend it, raise --config.train.steps\n"
    )


def test_workdir_in_use_is_refused_and_unchanged(finished):
    config, workdir, _ = finished
    before = sorted(workdir.rglob("*"))
    message = rf"another run is writing in .*: process {os.getpid()} on "
    with hold_workdir(workdir), pytest.raises(UserError, match=message):
        train_and_evaluate(config, workdir)
    assert sorted(workdir.rglob("*")) == before


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
    message = (
        r"^the checkpoint does not fit the changed config, train\.ema_decay: 0\.5 -> 0\.0; "
        r"resume with --config\.train\.ema_decay=0\.5, or use another --workdir$"
    )
    with pytest.raises(UserError, match=message):
        train_and_evaluate(other, workdir)
    assert (workdir / "config.json").read_text() == before
    assert load_run(workdir).step == 8


def test_warning_of_a_method_is_logged_once_until_it_clears(config, tmp_path, monkeypatch, capsys):
    due = {2, 3, 6}

    def warnings(self, step, scalars):
        assert scalars["loss/total"] > 0
        return {"dark": "all is dark"} if step in due else {}

    monkeypatch.setattr(UltraBMMethod, "warnings", warnings)
    train_and_evaluate(config(), tmp_path)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert said == ["warning: step 2: all is dark", "warning: step 6: all is dark"]
