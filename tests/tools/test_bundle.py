"""Bundled models: made by `ultrabm_jax.tools.bundle`, complete, and loaded by name."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

import ultrabm_jax
from ultrabm_jax import pretrained
from ultrabm_jax.commands import restore
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.baselines import make_baseline
from ultrabm_jax.inference.pretrained import load_bundle, load_pretrained_run
from ultrabm_jax.inference.runs import load_run
from ultrabm_jax.pretrained import CARD, MAX_BYTES, METADATA, WEIGHTS
from ultrabm_jax.tools import bundle
from ultrabm_jax.tools.card import find_marks
from ultrabm_jax.training import train_and_evaluate
from ultrabm_jax.training.init_from import read_initial
from ultrabm_jax.training.scores import read_scores

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from tiny import tiny_config

LOW = np.random.default_rng(0).random((12, 10, 3), np.float32)

SECTIONS = ("Data and licence", "Training", "Results", "Failure cases")


def find_gaps(card: str) -> list[str]:
    """One line for each mark, and for each section that is missing or empty; empty for a complete card."""
    gaps = [f"to write: {mark}" for mark in find_marks(card)]
    for section in SECTIONS:
        match = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
        if match is None or not match[1].strip():
            gaps.append(f"section {section!r} is {'missing' if match is None else 'empty'}")
    return gaps


def faults(folder: Path) -> list[str]:
    """One line for each defect of the bundled models in `folder`."""
    found = []
    for weights in sorted(folder.glob(f"*{WEIGHTS}")):
        name = weights.stem
        missing = [suffix for suffix in (METADATA, CARD) if not weights.with_suffix(suffix).is_file()]
        if missing:
            found.append(f"{name}: {', '.join(missing)} is missing")
            continue
        if weights.stat().st_size > MAX_BYTES:
            found.append(f"{name}: {weights.stat().st_size} bytes")
        found += [f"{name}: {gap}" for gap in find_gaps(weights.with_suffix(CARD).read_text(encoding="utf-8"))]
        if re.search(r'["\s:](/|~/)\w', weights.with_suffix(METADATA).read_text(encoding="utf-8")):
            found.append(f"{name}: the JSON file has an absolute path")
        try:
            run = load_bundle(weights, compare=True)
        except UserError as error:
            found.append(f"{name}: {error}")
            continue
        low = np.full((1, 16, 16, run.task.channels), 0.1, np.float32)
        restored = np.asarray(run.task.restore(run.variables, {"low": low}))
        side = 16 * run.task.scale
        if restored.shape != (1, side, side, 3) or not np.isfinite(restored).all():
            found.append(f"{name}: restores a {restored.shape} image of {restored.min()} to {restored.max()}")
    return found


def fill_marks(card: Path) -> None:
    text = card.read_text(encoding="utf-8")
    for mark in find_marks(text):
        text = text.replace(mark, "Text written by hand.")
    card.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Four steps of the tiny network with a frozen part, evaluated on validation images after two and four."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for kind, size, level in (("low", (20, 24), 60), ("high", (40, 48), 256)):
        (root / kind).mkdir()
        for i in range(6):
            Image.fromarray(rng.integers(0, level, (*size, 3), np.uint8)).save(root / kind / f"{i}.png")
    config = tiny_config(
        train__steps=4, eval__every=2, **{"data.root": str(root), "data.holdout": (0.3, 0.3), "model.semantic": "vgg16"}
    )
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "clu", None)
        train_and_evaluate(config, folder)
    return folder


@pytest.fixture
def bundled(workdir, tmp_path, monkeypatch):
    """A folder with the model `tiny_x2`, in place of the package's models."""
    assert bundle.main(["--workdir", str(workdir), "--name", "tiny_x2", "--output", str(tmp_path / "models")]) == 0
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "models")
    return tmp_path / "models"


def evaluation(workdir, path, **changes):
    """A metrics.json of the run's best checkpoint."""
    run = load_run(workdir, best=True)
    scores = {"psnr_rgb": 20.0625, "lpips_alex": None}
    summary = {
        "model": "tiny",
        "dataset": "lol",
        "scale": 2,
        "count": 15,
        "split": "test",
        "step": run.step,
        "selection": {"reason": run.reason, "evaluation_set": None, "on_measured_images": False},
        "mean": scores,
        "counts": {"tiny": {"psnr_rgb": 14}},
        "baselines": {"bicubic": {"psnr_rgb": 7.5, "lpips_alex": 0.25}},
        "config": {"model": {"name": "tiny"}},
    }
    path.write_text(json.dumps(summary | changes))
    return path


def test_every_bundled_model_is_complete():
    assert faults(pretrained.FOLDER) == []
    names = ultrabm_jax.list_pretrained()
    for suffix in (METADATA, CARD):  # none without weights
        assert sorted(path.stem for path in pretrained.FOLDER.glob(f"*{suffix}")) == names


def test_a_new_model_is_complete_once_its_card_is_written(bundled, workdir):
    found = faults(bundled)
    assert found
    assert all(fault.startswith("tiny_x2: to write: [TO WRITE: ") for fault in found)
    metrics = evaluation(workdir, bundled.parent / "metrics.json")
    flags = ["--workdir", str(workdir), "--name", "tiny_x2", "--output", str(bundled), "--overwrite"]
    assert bundle.main([*flags, "--evaluation", str(metrics)]) == 0
    fill_marks(bundled / "tiny_x2.md")
    assert faults(bundled) == []


def test_faults_are_found(bundled):
    fill_marks(bundled / "tiny_x2.md")
    card = (bundled / "tiny_x2.md").read_text()
    (bundled / "tiny_x2.md").write_text(card.partition("## Failure cases")[0])
    assert faults(bundled) == ["tiny_x2: section 'Failure cases' is missing"]
    (bundled / "tiny_x2.md").write_text(card.partition("## Failure cases")[0] + "## Failure cases\n\n")
    assert faults(bundled) == ["tiny_x2: section 'Failure cases' is empty"]
    (bundled / "tiny_x2.md").write_text(card)
    metadata = json.loads((bundled / "tiny_x2.json").read_text())
    metadata["config"]["model"]["stream"] = "single"
    (bundled / "tiny_x2.json").write_text(json.dumps(metadata))
    (fault,) = faults(bundled)
    assert "does not fit the model of tiny_x2.json: params/illumination/bias is (1,) there, missing here" in fault
    (bundled / "tiny_x2.json").write_text("{}")
    (fault,) = faults(bundled)
    assert fault.endswith("tiny_x2.json is damaged: KeyError('config'); install the package again")
    (bundled / "tiny_x2.json").unlink()
    assert faults(bundled) == ["tiny_x2: .json is missing"]
    with pytest.raises(UserError, match=r"tiny_x2\.json is missing; install the package again"):
        load_pretrained_run("tiny_x2")


def test_files_that_changed_after_they_were_written_are_refused(bundled):
    weights, path = bundled / "tiny_x2.safetensors", bundled / "tiny_x2.json"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))  # one bit of an array
    message = r"tiny_x2\.safetensors or tiny_x2\.json was changed after it was written; install the package again$"
    with pytest.raises(UserError, match=message):
        load_pretrained_run("tiny_x2")
    weights.write_bytes(before)
    load_pretrained_run("tiny_x2")
    metadata = json.loads(path.read_text())
    metadata["config"]["model"]["fsi"] = False
    path.write_text(json.dumps(metadata))
    with pytest.raises(UserError, match="tiny_x2"):
        load_pretrained_run("tiny_x2")


def test_only_unchanged_files_are_loaded_without_comparing_them(bundled, monkeypatch):
    compared = []
    monkeypatch.setattr("ultrabm_jax.inference.pretrained.describe_mismatch", lambda *trees: compared.append(trees))
    load_pretrained_run("tiny_x2")
    assert not compared
    load_bundle(bundled / "tiny_x2.safetensors", compare=True)
    assert len(compared) == 1
    path = bundled / "tiny_x2.json"
    metadata = json.loads(path.read_text())
    del metadata["fingerprint"]  # a model that an earlier version wrote
    path.write_text(json.dumps(metadata))
    load_pretrained_run("tiny_x2")
    assert len(compared) == 2


def test_the_loaded_model_equals_the_best_checkpoint(bundled, workdir):
    expected, loaded = load_run(workdir, best=True), load_pretrained_run("tiny_x2")
    assert (loaded.step, loaded.reason, loaded.evaluated) == (expected.step, expected.reason, expected.evaluated)
    assert loaded.evaluated.split == "val"
    assert loaded.config.model == expected.config.model
    assert jax.tree.structure(loaded.variables) == jax.tree.structure(expected.variables)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, expected.variables)
    low = {"low": LOW[None]}
    np.testing.assert_array_equal(
        loaded.task.restore(loaded.variables, low), expected.task.restore(expected.variables, low)
    )


def test_float16_halves_the_file_and_is_loaded_as_float32(bundled, workdir):
    """The parameters differ by the rounding to 11 bits, and so little does the restored image."""
    flags = ["--workdir", str(workdir), "--output", str(bundled), "--dtype", "float16"]
    assert bundle.main(["--name", "tiny_half", *flags]) == 0
    sizes = {name: (bundled / f"{name}.safetensors").stat().st_size for name in ("tiny_x2", "tiny_half")}
    assert sizes["tiny_half"] < 0.6 * sizes["tiny_x2"]
    exact, half = load_pretrained_run("tiny_x2"), load_pretrained_run("tiny_half")
    for a, b in zip(jax.tree.leaves(exact.variables), jax.tree.leaves(half.variables), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
    low = {"low": LOW[None]}
    restored, rounded = (run.task.restore(run.variables, low) for run in (exact, half))
    np.testing.assert_allclose(restored, rounded, atol=1e-3)


def test_names_are_listed_and_an_unknown_one_is_one_line(bundled):
    assert ultrabm_jax.list_pretrained() == ["tiny_x2"]
    with pytest.raises(UserError, match=r"^unknown pretrained model 'tiny'; known: tiny_x2$"):
        load_pretrained_run("tiny")
    with pytest.raises(UserError, match=r"unknown pretrained model '\.\./models/tiny_x2'"):
        load_pretrained_run("../models/tiny_x2")


def test_metadata_has_the_config_versions_and_selection_without_absolute_paths(bundled, workdir):
    metadata = json.loads((bundled / "tiny_x2.json").read_text())
    saved = json.loads((workdir / "config.json").read_text())
    step = load_run(workdir, best=True).step
    assert metadata["versions"] == saved["versions"]
    assert metadata["config"]["train"] == saved["config"]["train"]
    root = Path(saved["config"]["data"]["root"])
    assert root.is_absolute()
    assert metadata["config"]["data"]["root"] == root.name
    assert 0 < metadata["hours"] < 1
    assert metadata["selection"]["scores"] == read_scores(workdir / "checkpoints" / str(step))
    assert metadata["selection"]["evaluation_set"]["split"] == "val"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/records", "records"),
        ("lol/v1_scenes:/data/records/", "lol/v1_scenes:records"),
        ("~/photos", "photos"),
        ("lol/v1_scenes", "lol/v1_scenes"),
        ("gamma=>bicubic", "gamma=>bicubic"),
        (["a:/b/c", 0.5, {"root": "/d"}], ["a:c", 0.5, {"root": "d"}]),
    ],
)
def test_absolute_paths_are_replaced_by_their_last_parts(path, expected):
    assert bundle.without_paths(path) == expected


def test_the_card_has_the_numbers_of_the_run_and_of_its_evaluations(workdir, tmp_path):
    flags = ["--workdir", str(workdir), "--name", "tiny_x2", "--output", str(tmp_path)]
    metrics = evaluation(workdir, tmp_path / "metrics.json")
    own = evaluation(workdir, tmp_path / "own.json", selection={"on_measured_images": True}, split="val", count=1)
    assert bundle.main([*flags, "--evaluation", str(metrics), str(own)]) == 0
    card = (tmp_path / "tiny_x2.md").read_text()
    run = load_run(workdir, best=True)
    score = read_scores(workdir / "checkpoints" / str(run.step))["psnr_rgb"]
    assert f"step {run.step} of 4, chosen by the best psnr_rgb on paired val" in card
    assert f"psnr_rgb {score:.4g}" in card
    assert "### lol test (15 images)" in card
    assert "| method | psnr_rgb ↑ | lpips_alex ↓ |\n| --- | --- | --- |\n| tiny | 20.06 | - |\n" in card
    assert "| bicubic | 7.5 | 0.25 |" in card
    assert "The checkpoint was chosen on paired val. psnr_rgb of tiny is the mean over 14 of 15 images." in card
    assert card.count("**The measured images chose the checkpoint: the model's row is too good.**") == 1
    assert not any("on named sets" in mark for mark in find_marks(card))


def test_evaluations_of_another_checkpoint_are_refused(workdir, tmp_path):
    flags = ["--workdir", str(workdir), "--name", "tiny_x2", "--output", str(tmp_path / "out"), "--evaluation"]
    for changes, message in (
        ({"step": 1}, "is of tiny x2 at step 1; the checkpoint is of tiny x2 at step "),
        ({"scale": 4}, "is of tiny x4 at step"),
        ({"config": {"model": {"name": "red"}}}, "is of red x2 at step"),
        ({"config": {}}, "is not a metrics.json of eval.py"),
    ):
        with pytest.raises(UserError, match=message):
            bundle.main([*flags, str(evaluation(workdir, tmp_path / "metrics.json", **changes))])
    with pytest.raises(UserError, match="No such file"):
        bundle.main([*flags, str(tmp_path / "none.json")])
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_test_images_chose_needs_a_flag(workdir, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(workdir, copy)
    step = load_run(workdir, best=True).step
    scores = copy / "checkpoints" / str(step) / "metrics" / "metrics"
    record = json.loads(scores.read_text())
    record["evaluation_set"]["split"] = "test"
    scores.write_text(json.dumps(record))
    flags = ["--workdir", str(copy), "--name", "tiny_x2", "--output", str(tmp_path / "out")]
    with pytest.raises(UserError, match=rf"test images chose step {step} \(psnr_rgb on paired test"):
        bundle.main(flags)
    assert not (tmp_path / "out").exists()
    assert bundle.main([*flags, "--allow-test"]) == 0
    assert "**Test images chose it: its results on them are too good.**" in (tmp_path / "out/tiny_x2.md").read_text()


def test_a_run_without_scores_is_refused(workdir, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(workdir, copy)
    for scores in copy.glob("checkpoints/*/metrics/metrics"):
        scores.write_text("{}")
    with pytest.raises(UserError, match="holds no evaluated checkpoint yet"):
        bundle.main(["--workdir", str(copy), "--name", "tiny_x2", "--output", str(tmp_path / "out")])


def test_existing_files_names_and_sizes_are_checked(workdir, tmp_path, monkeypatch):
    flags = ["--workdir", str(workdir), "--output", str(tmp_path), "--name"]
    with pytest.raises(UserError, match="a name has lower-case letters, digits and underscores"):
        bundle.main([*flags, "../Tiny"])
    (tmp_path / "tiny_x2.md").write_text("written by hand")
    with pytest.raises(UserError, match=r"tiny_x2\.md exists; --overwrite replaces it"):
        bundle.main([*flags, "tiny_x2"])
    monkeypatch.setattr(bundle, "MAX_BYTES", 1000)
    with pytest.raises(
        UserError, match=r"large\.safetensors would have 0\.2 MB; a bundled model has at most 0\.001 MB"
    ):
        bundle.main([*flags, "large"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny_x2.md"]


def test_training_hours_are_those_of_the_steps_up_to_the_checkpoint(tmp_path):
    config = tiny_config(train__steps=100, data__batch_size=8, train__stages=((1, 2, 16), (1, 1, 16)))
    lines = ((20, 0.5), (30, 0.0), (40, 0.5), (60, 0.25), (80, 1.0), (100, 9.0))  # 50 steps of 8 images, then 50 of 4
    text = "\n".join(json.dumps({"step": step, "images_per_second": rate}) for step, rate in lines)
    (tmp_path / "train.jsonl").write_text(text)
    run = SimpleNamespace(config=config, step=70)
    expected = (160 / 0.5 + 160 / 0.5 + (80 + 40) / 0.25 + 40 / 1.0) / 3600
    assert bundle.training_hours(tmp_path, run) == pytest.approx(expected)
    assert bundle.training_hours(tmp_path / "none", run) is None


def test_restore_takes_the_name(bundled, tmp_path, monkeypatch):
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    Image.fromarray((255 * LOW).astype(np.uint8)).save(tmp_path / "a.png")
    flags = ["--model", "tiny_x2", str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]
    assert restore.main(flags) == 0
    with Image.open(tmp_path / "out" / "a.png") as restored:
        assert restored.size == (20, 24)
    assert restore.load(restore.parser().parse_args([*flags, "--scale", "2"]))[0].scale == 2
    with pytest.raises(UserError, match="--scale 4: tiny_x2 has scale 2"):
        restore.load(restore.parser().parse_args([*flags, "--scale", "4"]))


def test_a_baseline_and_the_second_part_of_a_cascade_take_the_name(bundled):
    run = load_pretrained_run("tiny_x2")
    expected = np.asarray(run.task.restore(run.variables, {"low": LOW[None]}))[0]
    np.testing.assert_allclose(make_baseline("tiny_x2", scale=2)(LOW), expected, atol=1e-6)
    assert make_baseline("gamma=>tiny_x2", scale=2)(LOW).shape == (24, 20, 3)
    message = r"'tiny_x2' enlarges by 2 \(tiny_x2 by 2\), but the comparison is at scale 4; add =>bicubic"
    with pytest.raises(UserError, match=message):
        make_baseline("tiny_x2", scale=4)


def test_init_from_takes_the_name(bundled, workdir):
    run = load_run(workdir, best=True)
    initial = read_initial("tiny_x2", run.config)
    assert initial.origin == str(bundled / "tiny_x2.safetensors")
    count = len(jax.tree.leaves(run.variables["params"]))
    assert (len(initial.params), list(initial.frozen)) == (count, ["semantic/gain"])
    np.testing.assert_array_equal(initial.params["last/kernel"], run.variables["params"]["last"]["kernel"])
    np.testing.assert_array_equal(initial.frozen["semantic/gain"], run.variables["frozen"]["semantic"]["gain"])
