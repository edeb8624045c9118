import dataclasses

import numpy as np
import pytest

from ultrabm_jax import metrics
from ultrabm_jax.errors import UserError
from ultrabm_jax.evaluation.protocols import Protocols
from ultrabm_jax.storage.assets import MissingAsset

FLAT = np.full((8, 8, 3), 7, np.uint8)
BUSY = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)


@pytest.fixture
def contrast(monkeypatch):
    """A metric without a reference that, as NIQE, divides by the contrast."""

    def deviation(image):
        spread = np.std(np.asarray(image, np.float64), axis=(1, 2, 3))
        return np.where(spread > 0, spread, np.nan)

    row = dataclasses.replace(metrics.METRICS["niqe_gray"], function=deviation, assets=())
    monkeypatch.setitem(metrics.METRICS, "niqe_gray", row)


def test_an_undefined_value_is_missing_for_that_image_only(contrast):
    protocols = Protocols(["niqe_gray", "psnr_rgb"])
    others = {"reference": BUSY, "low": BUSY}
    (first, no_reason), (flat, reasons), (last, _) = (protocols.scores(x, others) for x in (BUSY, FLAT, BUSY))
    assert flat["niqe_gray"] is None
    assert first == last == {"niqe_gray": pytest.approx(BUSY.std()), "psnr_rgb": np.inf}
    assert (no_reason, reasons) == ({}, {"niqe_gray": "the value is not defined (nan)"})
    assert protocols.unavailable == {}


def test_an_image_that_is_too_small_lacks_that_score_only():
    protocols = Protocols(["ssim_rgb", "psnr_rgb"])
    large = np.tile(BUSY, (2, 2, 1))
    scores, reasons = protocols.scores(BUSY, {"reference": BUSY, "low": BUSY})
    assert scores == {"ssim_rgb": None, "psnr_rgb": np.inf}
    assert reasons == {"ssim_rgb": "SSIM needs at least 11 pixels a side, got 8x8"}
    scores, reasons = protocols.scores(large, {"reference": large, "low": large})
    assert (scores, reasons) == ({"ssim_rgb": pytest.approx(1), "psnr_rgb": np.inf}, {})
    assert protocols.unavailable == {}


def test_a_protocol_whose_data_are_missing_is_not_retried(monkeypatch):
    asked = []

    def fail(*_):
        asked.append(1)
        raise MissingAsset("a file is missing")

    monkeypatch.setitem(metrics.METRICS, "rmse", dataclasses.replace(metrics.METRICS["rmse"], function=fail))
    protocols = Protocols(["rmse"])
    others = {"reference": BUSY, "low": BUSY}
    assert [protocols.scores(BUSY, others) for _ in range(3)] == [({"rmse": None}, {})] * 3
    assert (len(asked), protocols.unavailable) == (1, {"rmse": "a file is missing"})


def test_names_may_have_a_border():
    protocols = Protocols(["psnr_y_crop2", "rmse"])
    assert protocols.higher_is_better == {"psnr_y_crop2": True, "rmse": False}
    with pytest.raises(UserError, match=r"config\.eval\.protocols: unknown metric 'psnr'; known: psnr_rgb"):
        Protocols(["psnr"])
