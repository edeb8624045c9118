"""A reference's features are computed once for several methods; scores depend neither on that nor on threads."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from PIL import Image

from ultrabm_jax.metrics import METRICS, compute
from ultrabm_jax.metrics.features import FeatureMetric, SharedFeatures
from ultrabm_jax.metrics.folder_scores import measure
from ultrabm_jax.metrics.folders import list_images
from ultrabm_jax.metrics.ordered_map import ordered_map

RNG = np.random.default_rng(0)
REFERENCE, A, B = RNG.integers(0, 256, (3, 1, 40, 44, 3), dtype=np.uint8)


def test_shared_features_do_not_change_the_values():
    shared: SharedFeatures = {}
    for name in ("fsim", "fsimc", "fsim_crop4", "psnr_rgb"):
        for restored in (A, B):
            np.testing.assert_array_equal(
                compute(name, restored, REFERENCE, shared=shared), compute(name, restored, REFERENCE)
            )
    assert len(shared) == 2  # of the whole image for fsim and fsimc, and of the cropped one


def counted(monkeypatch) -> list[float]:
    """The mean levels of the images whose features "fsim" computes; stands for a costly metric."""
    seen: list[float] = []

    def features(image):
        seen.append(float(np.mean(image)))
        return np.asarray(image, np.float64)

    metric = FeatureMetric(features, lambda a, b: np.abs(a - b).mean(axis=(1, 2, 3)))
    monkeypatch.setitem(METRICS, "fsim", dataclasses.replace(METRICS["fsim"], function=metric))
    return seen


@pytest.mark.parametrize("workers", [1, 3])
def test_methods_share_the_features_of_each_reference(tmp_path, monkeypatch, workers):
    seen = counted(monkeypatch)
    levels = {"reference": 0, "first": 100, "second": 200}
    for kind, level in levels.items():
        (tmp_path / kind).mkdir()
        for k in range(5):
            Image.fromarray(np.full((12, 16, 3), level + k, np.uint8)).save(tmp_path / kind / f"{k}.png")
    listed = {kind: list_images(tmp_path / kind) for kind in levels}
    methods = {name: listed[name] for name in ("first", "second")}
    others, protocols = {"reference": listed["reference"]}, ("fsim", "rmse")
    results = measure(sorted(listed["first"]), methods, others, protocols, workers=workers)
    assert sorted(seen) == sorted(level + k for level in levels.values() for k in range(5))
    for name, result in results.items():
        assert list(result.scores) == ["0", "1", "2", "3", "4"]
        assert [scores["fsim"] for scores in result.scores.values()] == [levels[name]] * 5
        alone = measure(sorted(listed["first"]), {name: listed[name]}, others, protocols)[name]
        assert alone.scores == result.scores


def test_ordered_map_keeps_the_order_and_takes_few_items_ahead():
    taken, first_done, ahead = [], threading.Event(), []

    def items():
        for k in range(20):
            taken.append(k)
            yield k

    def square(k: int) -> int:
        if k == 0:
            first_done.set()
        assert first_done.is_set()  # the first item is computed alone
        return k * k

    for k, value in enumerate(ordered_map(square, items(), workers=3)):
        assert value == k * k
        ahead.append(len(taken) - k)
    assert max(ahead) <= 4
    assert list(ordered_map(square, [], workers=2)) == []


def test_ordered_map_uses_all_workers():
    """Each of the items after the first one waits for the other."""
    barrier = threading.Barrier(2, timeout=30)
    assert list(ordered_map(lambda k: (k, barrier.wait() >= 0) if k else (k, True), range(3), workers=2)) == [
        (0, True),
        (1, True),
        (2, True),
    ]
