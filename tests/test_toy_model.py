"""A new model is a network, a method and a config: it then trains, is evaluated, restores photos and is reported."""

from __future__ import annotations

import json

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from ultrabm_jax import methods, models
from ultrabm_jax.commands import restore
from ultrabm_jax.config import CONFIGS, ModelConfig, default_config
from ultrabm_jax.evaluation import evaluate
from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle
from ultrabm_jax.losses.pixel import l1
from ultrabm_jax.methods.base import SingleNetwork
from ultrabm_jax.models.task import Task
from ultrabm_jax.training import train_and_evaluate


# --- the model, under 60 lines ----------------------------------------------------------------------------------------
class Toy(nn.Module):
    """One convolution and a pixel shuffle."""

    width: int = 3
    scale: int = 2

    @nn.compact
    def __call__(self, low):
        x = nn.Conv(self.width * self.scale**2, (3, 3), name="conv")(low)
        return {"restored": pixel_shuffle(x, self.scale)}


class ToyTask(Task):
    """Two variants: the image, and the image at half its brightness."""

    tile = 32
    overlap = 0

    def variants(self, options):
        return {"": lambda batch: {"low": batch["low"]}, "_half": lambda batch: {"low": batch["low"] / 2}}


class ToyMethod(SingleNetwork):
    """Trained with an L1 loss."""

    def terms(self, params, *, frozen, batch):
        restored = self.model.apply({"params": params}, batch["low"])["restored"]
        return {"r": jnp.mean(l1(restored, batch["reference"]))}


def toy_sections():
    return {"model": ConfigDict({"name": "toy", "scale": 2, "width": 3}), "loss": ConfigDict({"lambda_r": 1.0})}


def toy_config(root):
    config = default_config("toy")
    config.data.update({"root": str(root), "eval_root": str(root), "batch_size": 2, "patch_size": 8})
    config.data.update({"loader": "threads", "workers": 1})
    config.train.update({"steps": 2, "mixup_probability": 0.0})
    config.eval.update({"protocols": ("psnr_rgb",), "baselines": ("bicubic",), "panels": 1})
    return config


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(models.MODELS, "toy", models.Entry(Toy, ToyTask))
    monkeypatch.setitem(methods.METHODS, "toy", ToyMethod)
    monkeypatch.setitem(CONFIGS, "toy", ModelConfig(toy_sections))


# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path):
    rng = np.random.default_rng(0)
    for kind, size, top in (("low", (10, 12), 60), ("high", (20, 24), 256)):
        (tmp_path / "pairs" / kind).mkdir(parents=True)
        for i in range(3):
            image = Image.fromarray(rng.integers(0, top, (*size, 3), np.uint8))
            image.save(tmp_path / "pairs" / kind / f"{i}.png")
    return tmp_path / "pairs"


def test_a_toy_model_trains_is_evaluated_restores_and_is_reported(registered, pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("ULTRABM_COMPILATION_CACHE", "off")
    config, workdir = toy_config(pairs), tmp_path / "run"
    state = train_and_evaluate(config, workdir)
    assert int(state.step) == 2
    losses = [json.loads(line) for line in (workdir / "train.jsonl").read_text().splitlines()]
    assert {"loss/r", "loss/total"} <= set(losses[0])

    summary = evaluate(config, workdir)
    assert [summary["model"], *summary["baselines"]] == ["toy", "toy_half", "bicubic"]
    assert np.isfinite(summary["mean"]["psnr_rgb"])
    assert summary["speed"]["parameters"] == 3 * 3 * 3 * 12 + 12
    page = (workdir / "eval" / "report" / "index.html").read_text()
    assert "toy_half" in page

    photo = pairs / "low" / "0.png"
    assert restore.main(["--workdir", str(workdir), str(photo), "--output", str(tmp_path / "out")]) == 0
    conv = state.eval_params()["conv"]
    low = np.asarray(Image.open(photo), np.float32)[None] / 255
    expected = np.clip(Toy().apply({"params": {"conv": conv}}, low)["restored"], 0, 1)[0]
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "out" / "0.png")) / 255, expected, atol=0.6 / 255)
