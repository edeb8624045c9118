"""The best checkpoint is chosen on validation images and belongs to one evaluation set."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.runs import load_run, load_trained
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.evaluation_set import EvaluationSet
from ultrabm_jax.training.scores import read_evaluation_set, read_scores


@pytest.fixture(autouse=True)
def no_tensorboard(monkeypatch):
    monkeypatch.setitem(sys.modules, "clu", None)  # importing TensorFlow takes longer than these tests


@pytest.fixture
def evaluated(tmp_path, config):
    """A run of eight steps, evaluated after four and eight on the folder of pairs."""
    train_and_evaluate(config(), tmp_path / "run")
    return tmp_path / "run"


def score_files(workdir):
    return {int(path.name): path for path in (workdir / "checkpoints").iterdir() if path.name.isdecimal()}


def test_the_evaluation_set_is_recorded_beside_the_scores(evaluated):
    recorded = read_evaluation_set(score_files(evaluated)[8])
    assert recorded is not None
    assert (recorded.metric, recorded.dataset, recorded.count) == ("psnr_rgb", "paired", 5)
    assert recorded.split.startswith("eval_root pairs")
    assert set(read_scores(score_files(evaluated)[8])) == {"psnr_rgb"}
    run = load_trained(evaluated)
    assert run.evaluated == recorded
    assert run.reason == f"best psnr_rgb on paired {recorded.split} (5 images)"


def test_every_command_says_which_step_it_uses_and_why(evaluated, logged):
    best = load_run(evaluated, best=True)
    load_trained(evaluated)
    load_trained(evaluated, "latest")
    load_trained(evaluated, "6")
    assert [line.removeprefix(f"{evaluated}: ") for line in logged] == [
        f"step {best.step}, {best.reason}",
        "step 8, the newest",
        "step 6, as requested",
    ]


def test_training_without_validation_images_uses_the_last_checkpoint(tmp_path, config, logged):
    train_and_evaluate(config(data__eval_root=""), tmp_path)
    assert sum("no validation images" in line for line in logged) == 1
    assert "eval/" not in (tmp_path / "train.jsonl").read_text()
    run = load_trained(tmp_path)
    assert (run.step, run.evaluated) == (8, None)
    assert run.reason == "the newest: no checkpoint has been evaluated"
    with pytest.raises(UserError, match="holds no evaluated checkpoint"):
        load_run(tmp_path, best=True)
    train_and_evaluate(config(data__eval_root=""), tmp_path)
    assert any("nothing to do" in line for line in logged)


def test_training_holds_out_images_and_never_opens_the_test_images(tmp_path, config, pairs, logged):
    for kind in ("low", "high"):
        shutil.copytree(pairs / kind, tmp_path / "lol" / "our485" / kind)
    data = {"data.dataset": "lol", "data.root": str(tmp_path / "lol"), "data.eval_root": ""}
    train_and_evaluate(config(**data, data__holdout=(0.4, 0.0)), tmp_path / "run")  # there is no folder eval15
    recorded = read_evaluation_set(score_files(tmp_path / "run")[8])
    assert recorded is not None
    assert (recorded.dataset, recorded.split) == ("lol", "val")
    assert recorded.count in (1, 2)
    verb = "image is" if recorded.count == 1 else "images are"
    note = f"note: {recorded.count} training {verb} held out for validation (data.holdout)"
    assert logged.count(note) == 1


def test_evaluating_the_test_images_during_training_is_warned_of(tmp_path, config, pairs, logged):
    for part in ("our485", "eval15"):
        for kind in ("low", "high"):
            shutil.copytree(pairs / kind, tmp_path / "lol" / part / kind)
    data = {"data.dataset": "lol", "data.root": str(tmp_path / "lol"), "data.eval_root": ""}
    train_and_evaluate(config(**data, data__eval_split="test"), tmp_path / "run")
    assert sum(line.startswith("warning: the test images choose the checkpoint") for line in logged) == 1
    assert load_trained(tmp_path / "run").reason == "best psnr_rgb on lol test (5 images)"
    assert any("the test images chose this checkpoint" in line for line in logged)


def test_best_is_void_when_the_evaluation_set_changes(evaluated, config, tmp_path, pairs, logged):
    shutil.copytree(pairs, tmp_path / "others")
    before = load_run(evaluated, best=True).evaluated
    train_and_evaluate(config(train__steps=10, data__eval_root=str(tmp_path / "others")), evaluated)
    lines = [line for line in logged if "is void" in line]
    now = read_evaluation_set(score_files(evaluated)[10])
    assert lines == [f"note: the best checkpoint so far, by {before}, is void: the run now evaluates {now}"]
    scored = {step for step, path in score_files(evaluated).items() if read_scores(path)}
    assert scored == {8, 10}  # step 8 is evaluated again, as the run resumes from it
    assert all(read_evaluation_set(score_files(evaluated)[step]) == now for step in scored)
    assert load_run(evaluated, best=True).evaluated == now


def test_best_stays_when_the_evaluation_set_does_not_change(evaluated, config, logged):
    scores = {step: read_scores(path) for step, path in score_files(evaluated).items()}
    train_and_evaluate(config(train__steps=10), evaluated)
    assert not any("is void" in line for line in logged)
    kept = score_files(evaluated)
    assert all(read_scores(kept[step]) == scores[step] for step in kept.keys() & scores.keys())


def test_scores_of_earlier_releases_belong_to_the_split_of_their_config(evaluated, config, tmp_path, logged):
    for path in score_files(evaluated).values():
        if scores := read_scores(path):
            (path / "metrics" / "metrics").write_text(json.dumps(scores))
    content = json.loads((evaluated / "config.json").read_text())
    content["config"]["data"] |= {"eval_split": "test", "eval_root": "", "dataset": "lol"}
    (evaluated / "config.json").write_text(json.dumps(content))
    assert load_trained(evaluated).reason == "best psnr_rgb on lol test"
    assert any("the test images chose this checkpoint" in line for line in logged)
    train_and_evaluate(config(train__steps=10), evaluated)
    assert sum("best checkpoint so far, by psnr_rgb on lol test, is void" in line for line in logged) == 1


@pytest.mark.parametrize(
    ("field", "value", "same"),
    [("count", None, True), ("images", None, True), ("count", 3, False), ("split", "test", False),
     ("metric", "ssim_rgb", False), ("dataset", "lol", False), ("images", "ff", False)],
)  # fmt: skip
def test_unrecorded_fields_match_every_value(field, value, same):
    known = EvaluationSet("psnr_rgb", "paired", "val", 5, "ab")
    other = EvaluationSet(
        **{"metric": "psnr_rgb", "dataset": "paired", "split": "val", "count": 5, "images": "ab"} | {field: value}
    )
    assert known.matches(other) == other.matches(known) == same
