"""Evaluation during training: images without a score are named, and the mean is over the others."""

import dataclasses
import logging

import jax.numpy as jnp
import numpy as np
import pytest

from input_pipeline.sources.base import PairSource
from ultrabm_jax import metrics
from ultrabm_jax.config import default_config
from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.assets import MissingAsset
from ultrabm_jax.training.sharding import make_mesh
from ultrabm_jax.training.validation import Validation, mean_scores


class Gray(PairSource):
    """Four pairs of flat images whose restoration is wrong by 0, 10, 20 and 30 of 255."""

    scale = 1
    crop = arrays = None
    broken = ()

    def __len__(self):
        return 4

    def name(self, i):
        return f"image{i}"

    def size(self, i):
        return (16, 16) if i else (8, 8)

    def pair(self, i):
        if i in self.broken:
            raise UserError(f"low/{i}.png: damaged")
        low = np.full((*self.size(i), 3), 100, np.uint8)
        return low, low + np.uint8(10 * i)


@pytest.fixture
def source():
    return Gray()


@pytest.fixture
def validate(source):
    """`validate("rmse", restore)` -> the mean."""

    def call(protocol, restore=lambda variables, batch: batch["low"]):
        validation = Validation(restore, source, make_mesh(default_config().mesh))
        return validation({"params": {}}, protocols=(protocol,))[0][f"eval/{protocol}"]

    return call


@pytest.fixture
def warnings(caplog, monkeypatch):
    """The warnings so far."""
    monkeypatch.setattr(logging.getLogger("ultrabm_jax"), "propagate", True)
    return lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_every_image_counts_once(validate, warnings):
    assert validate("rmse") == pytest.approx(15 / 255, rel=1e-5)
    assert warnings() == []


def test_an_image_that_is_too_small_for_a_protocol_is_named(validate, warnings):
    assert 0 < validate("ssim_rgb") < 1
    assert warnings() == [
        "evaluation: ssim_rgb is the mean over 3 of 4 images",
        "evaluation: image0: SSIM needs at least 11 pixels a side, got 8x8",
    ]


def test_an_unreadable_image_is_named(source, validate, warnings):
    source.broken = (3,)
    assert validate("rmse") == pytest.approx(10 / 255, rel=1e-5)
    assert warnings() == ["evaluation: rmse is the mean over 3 of 4 images", "evaluation: image3: low/3.png: damaged"]


def test_an_image_with_nonfinite_values_is_named(validate, warnings):
    def restore(variables, batch):
        return jnp.where(batch["low"].shape[1] == 8, jnp.nan, batch["low"])

    assert validate("rmse", restore) == pytest.approx(20 / 255, rel=1e-5)
    assert warnings()[1:] == ["evaluation: image0: the restored image has non-finite values"]


def test_a_network_that_diverges_has_no_score_and_goes_on_training(validate):
    assert np.isnan(validate("rmse", lambda variables, batch: batch["low"] * jnp.nan))


def test_without_any_image_the_evaluation_is_an_error(source, validate):
    source.broken = range(4)
    with pytest.raises(UserError, match=r"^evaluation: no image has a score under rmse: low/0\.png: damaged$"):
        validate("rmse")
    source.broken = ()
    with pytest.raises(UserError, match=r"^evaluation: no image has a score under msssim_rgb: MS-SSIM needs at least"):
        validate("msssim_rgb")


def test_missing_data_of_a_protocol_are_an_error(validate, monkeypatch):
    def fail(*_):
        raise MissingAsset("a file is missing")

    monkeypatch.setitem(metrics.METRICS, "rmse", dataclasses.replace(metrics.METRICS["rmse"], function=fail))
    with pytest.raises(MissingAsset, match="a file is missing"):
        validate("rmse")


def test_means_without_missing_scores_keep_their_bits():
    scores = np.random.default_rng(0).normal(20, 3, (101, 3))
    np.testing.assert_array_equal(mean_scores(scores), scores.mean(axis=0))
    scores[:50, 0], scores[:, 1] = np.nan, np.nan
    np.testing.assert_allclose(mean_scores(scores), [scores[50:, 0].mean(), np.nan, scores[:, 2].mean()])
