"""Mosaics: amplified by ratio and automatically, with and without clipping, and the demosaiced baseline; small RED."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import input_pipeline
from configs import red_synthetic
from input_pipeline.sources.base import PairSource
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation import candidates, evaluate, evaluator
from ultrabm_jax.metrics import compute
from ultrabm_jax.models import create_task
from ultrabm_jax.models.red.task import REDTask
from ultrabm_jax.raw.amplification import amplification_code

RATIO = np.float32(100)


class Mosaics(PairSource):
    """Two dark mosaics; 512 is black, 16383 white."""

    scale = 1
    input_kind = "mosaic"
    crop = arrays = None

    def __len__(self):
        return 2

    def name(self, i):
        return f"night{i}"

    def size(self, i):
        return 40, 52

    def pair(self, i):
        rng = np.random.default_rng(i)
        low = (512 + rng.gamma(1.0, 60, (40, 52, 1))).astype(np.uint16)
        return low, rng.integers(0, 65536, (40, 52, 3), np.uint16)

    def values(self, i):
        return {"black": np.full((2, 2), 512, np.float32), "white": np.float32(16383), "ratio": RATIO}

    def mosaic(self, i):
        return (self.pair(i)[0][..., 0].astype(np.float32) - 512) / (16383 - 512)


@pytest.fixture
def setting(tmp_path, monkeypatch):
    config = red_synthetic.get_config()
    config.eval.update({"protocols": ("psnr_rgb",), "speed": False})
    task = create_task("red", scale=1, dense_layers=(1, 1, 1))
    shapes = jax.eval_shape(task.model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
    rng = np.random.default_rng(5)
    variables = jax.tree.map(lambda x: rng.normal(0, 1, x.shape).astype(np.float32), shapes)
    params = variables["params"]["fb2_conv"]  # outputs near the middle of the range, mostly not clipped
    params["gain"] = np.full_like(params["gain"], 0.1)
    params["bias"] = np.full_like(params["bias"], 0.5)
    run = types.SimpleNamespace(config=config, task=task, variables=variables, step=3, reason="", evaluated=None)
    monkeypatch.setattr(evaluator, "load_trained", lambda workdir, checkpoint: run)
    monkeypatch.setattr(input_pipeline, "open_source", lambda data, *, scale, split, left_out: Mosaics())
    return config, run, tmp_path


def expected(run, *, amplifications, clip=False):
    source, values = Mosaics(), []
    for i, amplification in enumerate(amplifications):
        amplified = source.mosaic(i) * np.float32(amplification)
        amplified = np.minimum(amplified, 1) if clip else amplified
        restored = run.task.model.apply(run.variables, amplified[None, ..., None])["restored"]
        reference = np.rint(source.pair(i)[1] / 65535 * 255).astype(np.uint8)
        values.append(float(compute("psnr_rgb", restored, reference[None])[0]))
    return np.mean(values)


def test_ratio_and_amplifier_are_separate_methods(setting):
    config, run, workdir = setting
    summary = evaluate(config, workdir)
    assert [summary["model"], *summary["baselines"]] == ["red", "red_auto", "demosaiced"]
    assert summary["mean"]["psnr_rgb"] == pytest.approx(expected(run, amplifications=[RATIO] * 2), abs=1e-3)
    automatic = [amplification_code(Mosaics().mosaic(i), amp_factor=0.05) for i in range(2)]
    assert summary["baselines"]["red_auto"]["psnr_rgb"] == pytest.approx(
        expected(run, amplifications=automatic), abs=1e-3
    )


def test_network_trained_on_clipped_mosaics_gets_them_clipped(setting):
    config, run, workdir = setting
    uncut, cut = (expected(run, amplifications=[RATIO] * 2, clip=clip) for clip in (False, True))
    assert abs(cut - uncut) > 1e-3
    run.task = REDTask(run.task.model.clone(clip_input=True), name="red")
    config.eval.amplify = ("ratio",)
    summary = evaluate(config, workdir)
    assert summary["mean"]["psnr_rgb"] == pytest.approx(cut, abs=2e-4)


def test_released_red_is_measured_beside_or_without_a_run(setting, monkeypatch):
    config, run, workdir = setting
    other = jax.tree.map(lambda x: x * np.float32(0.9), run.variables)
    monkeypatch.setattr(candidates, "load_released", lambda name, assets: (run.task, other))
    config.eval.baselines = ("bicubic", "lw_drgn_photo", "red")  # those for RGB images do not apply
    summary = evaluate(config, workdir)
    names = ["red", "red_auto", "demosaiced", "red_released", "red_released_auto"]
    assert [summary["model"], *summary["baselines"]] == names
    released = types.SimpleNamespace(task=run.task, variables=other)
    scores = summary["baselines"]["red_released"]["psnr_rgb"]
    assert scores == pytest.approx(expected(released, amplifications=[RATIO] * 2), abs=1e-3)
    alone = evaluate(config, None, workdir / "alone")
    assert [alone["model"], *alone["baselines"]] == names[2:]
    assert alone["baselines"]["red_released"]["psnr_rgb"] == scores


def test_a_run_on_mosaics_is_measured_beside_another(setting, monkeypatch):
    config, run, workdir = setting
    monkeypatch.setattr(candidates, "load_network", {"bicubic": None, "runs/other": run}.get)
    config.eval.baselines = ("bicubic", "runs/other")
    summary = evaluate(config, workdir)
    assert list(summary["baselines"]) == ["red_auto", "demosaiced", "runs/other", "runs/other_auto"]
    assert summary["baselines"]["runs/other"]["psnr_rgb"] == summary["mean"]["psnr_rgb"]


def test_an_unknown_method_for_mosaics_is_refused(setting):
    config, _, workdir = setting
    config.eval.baselines = ("rde",)
    with pytest.raises(UserError, match="unknown method 'rde'; known for mosaics: red, a training run's folder"):
        evaluate(config, workdir)


def test_invalid_settings_for_mosaics_are_refused(setting):
    config, run, workdir = setting
    config.eval.amplify = ("automatic",)
    with pytest.raises(UserError, match=r"eval\.amplify.*ratio, auto, paper"):
        evaluate(config, workdir)
    config.eval.amplify = ("auto",)
    config.eval.ensemble = True
    with pytest.raises(UserError, match=r"eval\.ensemble"):
        evaluate(config, workdir)
    config.eval.ensemble = False
    run.task = create_task("zero_dce", scale=1)
    with pytest.raises(UserError, match="holds mosaics, but zero_dce restores RGB images"):
        evaluate(config, workdir)
