import json
import warnings

import numpy as np
import pytest

from ultrabm_jax.evaluation.image_result import ImageResult
from ultrabm_jax.evaluation.statistics import deviation, mean, summarise, unscored
from ultrabm_jax.metrics.bootstrap import Difference, interval, paired_difference


def test_the_interval_matches_the_normal_approximation():
    values = np.random.default_rng(0).normal(20, 3, 200)
    lower, upper = interval(list(values))
    half = 1.96 * values.std() / np.sqrt(200)
    assert lower == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert upper == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert interval(list(values)) == [lower, upper]
    assert interval(list(values[::-1])) == [lower, upper]  # the metrics command lists images in another order


def test_equal_values_have_no_deviation():
    assert interval([3.0, 3.0]) == [3.0, 3.0]
    assert deviation([3.0, 3.0]) == 0


def test_missing_and_infinite_values():
    assert mean([1.0, None, 3.0, np.nan]) == 2.0
    assert deviation([1.0, None, 3.0]) == 1.0
    assert interval([1.0, None, 3.0]) == interval([1.0, 3.0])
    assert mean([None, np.nan]) is deviation([None]) is interval([None]) is None
    assert mean([1.0, np.inf]) == "inf"
    assert deviation([1.0, np.inf]) is None
    assert interval([1.0, np.inf]) is None
    assert interval([1.0]) is interval([1.0, None]) is None


def test_an_image_without_a_score_is_left_out_and_json_stays_strict():
    images = [
        ImageResult(i, str(i), "a", {"net": {"niqe_gray": value}, "rival": {"niqe_gray": 4.0}})
        for i, value in enumerate([3.0, np.nan, 5.0])
    ]
    images[1].reasons["net"] = {"niqe_gray": "flat"}
    summary = summarise(images, ["niqe_gray"])
    assert summary["mean"] == {"niqe_gray": 4.0}
    assert summary["std"] == {"niqe_gray": 1.0}
    assert summary["counts"] == {"net": {"niqe_gray": 2}, "rival": {"niqe_gray": 3}}
    assert summary["problems"] == {"1": {"flat": ["niqe_gray (net)"]}}
    assert summary["baselines"] == {"rival": {"niqe_gray": 4.0}}
    assert summary["groups"]["a"]["mean"] == {"niqe_gray": 4.0}
    json.dumps(summary, allow_nan=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert mean([np.inf, -np.inf]) is None


def test_reasons_of_all_methods_are_merged_and_those_of_all_images_are_left_out():
    """NIQE of one image is missing for both methods, LOE of all images."""
    images = [
        ImageResult(i, str(i), None, {m: {"niqe_gray": value, "loe": None} for m in ("net", "rival")})
        for i, value in enumerate([3.0, None])
    ]
    for image in images:
        for method in ("net", "rival"):
            image.reasons[method] = {"loe": "another size"}
    for method in ("net", "rival"):
        images[1].reasons[method]["niqe_gray"] = "too small"
    summary = summarise(images, ["niqe_gray", "loe"])
    assert summary["problems"] == {"1": {"too small": ["niqe_gray"]}}
    assert summary["mean"] == {"niqe_gray": 3.0, "loe": None}
    assert unscored(images) == {"loe": "another size (at 0)"}


def test_a_paired_difference_is_narrower_than_the_intervals_of_the_means():
    rng = np.random.default_rng(0)
    difficulty = rng.normal(20, 4, 100)
    a, b = difficulty + 1 + rng.normal(0, 0.2, 100), difficulty + rng.normal(0, 0.2, 100)
    difference = paired_difference(list(a), list(b))
    half = 1.96 * (a - b).std() / 10
    assert difference.mean == pytest.approx((a - b).mean())
    assert difference.ci95 == pytest.approx([difference.mean - half, difference.mean + half], abs=0.2 * half)
    assert interval(list(b))[1] > interval(list(a))[0]  # the intervals of the means overlap


def test_a_paired_difference_leaves_out_missing_and_infinite_scores():
    assert paired_difference([1.0, None, np.inf, 5.0], [0.0, 1.0, 2.0, 3.0]) == Difference(1.5, [1.0, 2.0], 2)
    assert paired_difference([1.0], [3.0]) == Difference(-2.0, None, 1)
    assert paired_difference([None, np.inf], [1.0, np.inf]) is None


def test_groups_are_ordered_from_bright_to_dark_and_the_first_method_is_the_model():
    images = [
        ImageResult(i, str(i), group, {"net": {"rmse": float(i)}, "rival": {"rmse": 9.0}})
        for i, group in enumerate(["-5.0", "-2.5", "-5.0"])
    ]
    summary = summarise(images, ["rmse"])
    assert summary["mean"] == {"rmse": 1.0}
    assert summary["baselines"] == {"rival": {"rmse": 9.0}}
    assert list(summary["groups"]) == ["-2.5", "-5.0"]
    group = summary["groups"]["-5.0"]
    assert {name: group[name] for name in ("count", "mean", "baselines")} == {
        "count": 2, "mean": {"rmse": 1.0}, "baselines": {"rival": {"rmse": 9.0}},
    }  # fmt: skip
    assert group["differences"]["rival"]["rmse"]["mean"] == -8
    assert group["differences"]["rival"]["rmse"]["ci95"] == [-9, -7]
    assert group["intervals"] == {"net": {"rmse": [0, 2]}, "rival": {"rmse": [9, 9]}}
