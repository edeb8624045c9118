import csv
import errno
import json
import os

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import input_pipeline
from input_pipeline.sources.base import PairSource
from ultrabm_jax.config import default_config as get_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation import evaluate, evaluator
from ultrabm_jax.image import read_image
from ultrabm_jax.inference.runs import Run
from ultrabm_jax.metrics import scoring
from ultrabm_jax.models.task import Task
from ultrabm_jax.report import text_table
from ultrabm_jax.report.evaluations import find_evaluations
from ultrabm_jax.report.tables import show

METHODS = ["ultrabm", "bicubic", "gamma=>bicubic", "equalised=>bicubic", "clahe=>bicubic"]


class Brighten(nn.Module):
    """x2: nearest enlargement times a gain."""

    scale: int = 2

    @nn.compact
    def __call__(self, low):
        gain = self.param("gain", nn.initializers.constant(4.0), ())
        return {"restored": jnp.repeat(jnp.repeat(low * gain, 2, 1), 2, 2)}


class Source(PairSource):
    """Four pairs that `Brighten` restores exactly, in two exposure groups."""

    scale = 2
    crop = arrays = None

    def __len__(self):
        return 4

    def name(self, i):
        return f"scene/{i}"

    def group(self, i):
        return ("-2.5", "-5.0")[i % 2]

    def size(self, i):
        return 12, 16 + i % 2

    def pair(self, i):
        low = np.random.default_rng(i).integers(0, 60, (12, 16 + i % 2, 3), np.uint8)
        reference = np.repeat(np.repeat(low * 4, 2, 0), 2, 1)
        if i % 2:
            reference[0, 0] += 10
        return low, reference


class Unreferenced(Source):
    """The same images without references."""

    has_references = False

    def whole(self, i):
        return {"low": self.pair(i)[0]}


@pytest.fixture
def config():
    config = get_config()
    config.eval.protocols = ("psnr_rgb", "ssim_rgb", "rmse", "psnr_y_crop2")
    config.eval.speed = False
    return config


@pytest.fixture
def workdir(tmp_path, config, monkeypatch):
    task, variables = Task(Brighten(), name="ultrabm"), {"params": {"gain": np.float32(4)}}
    run = Run(config, task, variables, 7, "the newest")
    monkeypatch.setattr(evaluator, "load_trained", lambda workdir, checkpoint: run)
    monkeypatch.setattr(input_pipeline, "open_source", lambda data, *, scale, split, left_out: Source())
    (tmp_path / "train.jsonl").write_text('{"step": 1, "loss/total": 2.0}\n{"step": 2, "loss/total": 1.0}\n')
    return tmp_path


def test_all_files_are_written_and_agree(workdir, config):
    summary = evaluate(config, workdir)
    output = workdir / "eval"
    read = json.loads((output / "metrics.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert read == summary
    assert {
        "model",
        "dataset",
        "scale",
        "count",
        "mean",
        "std",
        "baselines",
        "config",
        "versions",
        "devices",
        "seconds",
    } <= set(read)
    facts = [read[key] for key in ("model", "dataset", "scale", "count", "step")]
    assert facts == ["ultrabm", "paired", 2, 4, 7]
    assert list(read["baselines"]) == METHODS[1:]
    assert read["mean"]["psnr_rgb"] == "inf"
    assert read["mean"]["psnr_rgb"] != read["baselines"]["bicubic"]["psnr_rgb"]
    with open(output / "per_image.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["image"], r["method"]) for r in rows] == [(f"scene/{i}", m) for i in range(4) for m in METHODS]
    values = [float(r["rmse"]) for r in rows if r["method"] == "ultrabm"]
    assert read["mean"]["rmse"] == pytest.approx(np.mean(values))
    assert read["std"]["rmse"] == pytest.approx(np.std(values))
    restored = read_image(output / "restored" / "scene" / "0.png").rgb
    np.testing.assert_array_equal(np.rint(restored * 255), Source().pair(0)[1])
    page = (output / "report" / "index.html").read_text()
    assert "<svg" in page
    assert 'href="../restored/scene/0.png"' in page


def test_scores_can_be_recomputed_from_the_files(workdir, config):
    summary = evaluate(config, workdir, workdir / "elsewhere")
    errors = []
    for i in range(4):
        restored = np.asarray(Image.open(workdir / "elsewhere" / "restored" / "scene" / f"{i}.png"), np.float64)
        errors.append(np.sqrt(np.mean((restored - Source().pair(i)[1]) ** 2)) / 255)
    assert summary["mean"]["rmse"] == pytest.approx(np.mean(errors), rel=1e-5)


def test_exposure_groups_from_bright_to_dark(workdir, config):
    groups = evaluate(config, workdir)["groups"]
    assert list(groups) == ["-2.5", "-5.0"]
    assert groups["-2.5"]["count"] == 2
    assert groups["-2.5"]["mean"]["rmse"] == pytest.approx(0, abs=1e-7)
    assert groups["-5.0"]["mean"]["rmse"] > 0


def test_unavailable_protocol_has_a_reason(workdir, config, monkeypatch):
    def compute(name, restored, reference=None, **options):
        if name == "ssim_rgb":
            raise UserError("a file is missing")
        return np.ones(len(restored))

    monkeypatch.setattr(scoring, "compute", compute)
    summary = evaluate(config, workdir)
    assert summary["mean"]["ssim_rgb"] is None
    assert summary["baselines"]["bicubic"]["ssim_rgb"] is None
    assert "a file is missing" in summary["unavailable"]["ssim_rgb"]
    assert summary["mean"]["psnr_rgb"] == 1.0
    assert "a file is missing" in (workdir / "eval" / "report" / "index.html").read_text()


def test_the_conditions_of_the_training_are_recorded(workdir, config):
    trained = evaluator.load_trained(workdir, "best").config
    other = config.copy_and_resolve_references()
    other.train.steps, other.data.dataset, other.eval.ensemble = 7, "lol", True
    summary = evaluate(other, workdir)
    assert summary["own_methods"] == ["ultrabm", "ultrabm+"]
    assert summary["trained_on"] == trained.data.dataset != "lol"
    assert summary["run_config"]["train"]["steps"] == trained.train.steps
    (evaluation,) = find_evaluations([str(workdir)])
    assert evaluation.own_methods == ["ultrabm", "ultrabm+"]
    assert evaluation.field("train.steps") == trained.train.steps
    assert evaluation.field("data.dataset") == "lol"


def test_images_without_a_score_are_named_and_the_means_are_over_the_others(workdir, config, monkeypatch, capsys):
    pair = Source.pair

    def one_small(self, i):
        low, reference = pair(self, i)
        return (low[:4], reference[:8]) if i == 1 else (low, reference)

    monkeypatch.setattr(Source, "pair", one_small)
    monkeypatch.setattr(Source, "size", lambda self, i: (4 if i == 1 else 12, 16 + i % 2))
    summary = evaluate(config, workdir)
    assert summary["counts"]["ultrabm"] == {"psnr_rgb": 4, "ssim_rgb": 3, "rmse": 4, "psnr_y_crop2": 4}
    assert summary["problems"] == {"scene/1": {"SSIM needs at least 11 pixels a side, got 8x34": ["ssim_rgb"]}}
    with open(workdir / "eval" / "per_image.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "ultrabm"]
    values = [float(row["ssim_rgb"]) for row in rows if row["ssim_rgb"]]
    assert len(values) == 3
    assert summary["mean"]["ssim_rgb"] == pytest.approx(np.mean(values), rel=1e-6)
    assert (summary["failed"], summary["unavailable"]) == ([], {})
    lines = [
        "ssim_rgb of ultrabm is the mean over 3 of 4 images",
        "scene/1: SSIM needs at least 11 pixels a side, got 8x34 [ssim_rgb]",
    ]
    page = (workdir / "eval" / "report" / "index.html").read_text()
    for line in lines:
        assert f"<li>{line}</li>" in page
        assert f"note: {line}" in text_table(summary).splitlines()
    (evaluation,) = find_evaluations([str(workdir)])
    assert lines[0] in show([evaluation], [])


def test_an_unreadable_image_is_named_and_left_out(workdir, config, monkeypatch):
    pair = Source.pair

    def broken(self, i):
        if i == 2:
            raise UserError("low/2.png: damaged")
        return pair(self, i)

    whole = evaluate(config, workdir)
    monkeypatch.setattr(Source, "pair", broken)
    summary = evaluate(config, workdir, workdir / "second")
    assert (whole["count"], whole["failed"]) == (4, [])
    assert (summary["count"], summary["failed"]) == (3, ["scene/2: low/2.png: damaged"])
    assert summary["counts"]["ultrabm"]["rmse"] == 3
    assert summary["groups"]["-2.5"]["count"] == 1
    assert "note: left out: scene/2: low/2.png: damaged" in text_table(summary)
    assert not (workdir / "second" / "restored" / "scene" / "2.png").exists()
    monkeypatch.setattr(Source, "pair", lambda self, i: broken(self, 2))
    with pytest.raises(UserError, match=r"^none of the 4 images can be read; the first: scene/0: low/2\.png: damaged$"):
        evaluate(config, workdir)


def test_nonfinite_values_cost_one_image_of_that_method(workdir, config, monkeypatch):
    candidates, low = evaluator.candidates, Source().pair(2)[0]

    def diverging(*args, **kwargs):
        methods = candidates(*args, **kwargs)
        restore = methods["ultrabm"]

        def with_nan(batch):
            restored = np.array(restore(batch))
            for image, out in zip(batch["low"], restored, strict=True):
                if image.shape == low.shape and (np.rint(image * 255) == low).all():
                    out[0, 0] = np.nan
            return restored

        return {**methods, "ultrabm": with_nan}

    monkeypatch.setattr(evaluator, "candidates", diverging)
    summary = evaluate(config, workdir)
    reason = "the restored image has non-finite values"
    assert summary["failed"] == [f"scene/2: ultrabm: {reason}"]
    assert (summary["count"], summary["counts"]["ultrabm"]["rmse"], summary["counts"]["bicubic"]["rmse"]) == (4, 3, 4)
    assert summary["problems"] == {"scene/2": {reason: [f"{name} (ultrabm)" for name in config.eval.protocols]}}
    written = sorted(path.name for path in (workdir / "eval" / "restored" / "scene").iterdir())
    assert written == ["0.png", "1.png", "3.png"]


def test_an_unknown_protocol_stops_before_any_work(workdir, config):
    config.eval.protocols = ("psnr_rgb", "psnr")
    with pytest.raises(UserError, match=r"'psnr'.*known: .*psnr_rgb"):
        evaluate(config, workdir)
    assert not (workdir / "eval").exists()


def test_tuples_of_the_config_are_checked_as_on_the_command_line(workdir, config):
    config.eval.protocols = ("psnr_rgb", 4)
    with pytest.raises(UserError, match=r"^config\.eval\.protocols takes names; got \('psnr_rgb', 4\)$"):
        evaluate(config, workdir)
    assert not (workdir / "eval").exists()


def test_a_config_of_an_earlier_release_is_renamed(workdir, config, capsys):
    with config.unlocked():
        del config.eval["baselines"]
        config.eval.compared = ("gamma",)
    summary = evaluate(config, workdir)
    assert list(summary["baselines"]) == ["gamma"]
    assert summary["config"]["eval"]["baselines"] == ["gamma"]
    assert "compared" not in summary["config"]["eval"]
    assert "the config sets eval.compared, which is deprecated; use eval.baselines" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_stops_before_any_work(workdir, config, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluator, "measure", lambda *_: pytest.fail("restored an image"))
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"^outputs cannot be written to \S+: \S+/file: a file, not a folder; choose another folder$"
    ):
        evaluate(config, workdir, tmp_path / "file" / "eval")


@pytest.mark.parametrize("name", ["per_image.csv", "index.html", "metrics.json"])
def test_a_full_disk_is_one_line_and_leaves_no_incomplete_file(workdir, config, monkeypatch, name):
    evaluate(config, workdir)
    before = (workdir / "eval" / "metrics.json").read_bytes()
    replace = os.replace

    def replace_until_full(source, target):
        if os.path.basename(target) == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr("ultrabm_jax.image.write.os.replace", replace_until_full)
    with pytest.raises(UserError, match=rf"^the output \S+/{name} cannot be written: No space left on device$"):
        evaluate(config, workdir)
    assert (workdir / "eval" / "metrics.json").read_bytes() == before
    assert not list(workdir.rglob("*.part"))


def test_the_config_must_agree_with_the_workdir(workdir, config):
    other = get_config()
    other.model.scale = 4
    with pytest.raises(UserError, match=r"model\.scale=4"):
        evaluate(other, workdir)


def test_baselines_are_measured_without_a_model(workdir, config, tmp_path):
    summary = evaluate(config, None, tmp_path / "out")
    assert [summary["model"], *summary["baselines"]] == METHODS[1:]
    assert summary["step"] is None
    with pytest.raises(UserError, match="--output"):
        evaluate(config, None)
    config.eval.baselines = ()
    with pytest.raises(UserError, match=r"config\.eval\.baselines"):
        evaluate(config, None, tmp_path / "out")


def test_ensemble_is_a_separate_method(workdir, config):
    config.eval.ensemble = True
    summary = evaluate(config, workdir)
    # `Brighten` is equivariant to flips and rotations.
    assert summary["baselines"]["ultrabm+"] == summary["mean"]


def test_speed_counts_the_model(workdir, config):
    config.eval.speed = True
    speed = evaluate(config, workdir)["speed"]
    assert speed["parameters"] == 1
    assert speed["milliseconds"] > 0


def test_images_without_references_are_measured_under_protocols_that_need_none(workdir, config, monkeypatch):
    monkeypatch.setattr(input_pipeline, "open_source", lambda data, *, scale, split, left_out: Unreferenced())
    config.eval.blind_protocols = ("loe_100",)
    low = np.zeros((12, 16, 3), np.uint8)
    summary = evaluate(config, workdir)
    assert set(summary["mean"]) == {"loe_100"}
    assert summary["count"] == 4
    assert low.shape == (12, 16, 3)
    page = (workdir / "eval" / "report" / "index.html").read_text()
    assert "scene/0" in page
    assert ">reference<" not in page
    assert text_table(summary)
    config.eval.blind_protocols = ("loe_100", "psnr_rgb")
    with pytest.raises(UserError, match="blind_protocols: psnr_rgb: these images have no references"):
        evaluate(config, workdir)


def test_scores_of_another_program_are_part_of_the_results(workdir, config, tmp_path):
    file = tmp_path / "ma.csv"
    file.write_text("image,score\n" + "".join(f"scene/{i},{i}\n" for i in range(4)))
    config.eval.baselines = ()
    config.eval.foreign_scores = (f"ma:higher:{file}",)
    summary = evaluate(config, workdir)
    assert summary["mean"]["ma_foreign"] == 1.5
    assert "ma_foreign" in (workdir / "eval" / "per_image.csv").read_text().splitlines()[0]
    assert "ma_foreign" in (workdir / "eval" / "report" / "index.html").read_text()


def test_the_page_is_named_and_an_evaluation_that_is_replaced(workdir, config, capsys):
    evaluate(config, workdir)
    first = capsys.readouterr().err
    assert f"{workdir}/eval/report/index.html" in first.splitlines()[-1]
    assert "replaces" not in first
    evaluate(config, workdir)
    assert f"{workdir}/eval: this evaluation replaces the one there" in capsys.readouterr().err
