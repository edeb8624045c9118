"""BRISQUE, SSEQ and their support vector machines. Their values are in test_reference_values."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import brisque, compute, sseq
from ultrabm_jax.metrics.libsvm import Classifier, Regressor, couple, read_regressor

RNG = np.random.default_rng(0)


@pytest.fixture
def assets(shared):
    return shared / "assets"


MODEL = """svm_type epsilon_svr
kernel_type rbf
gamma 0.5
nr_class 2
total_sv 2
rho -1.5
SV
2 1:1 3:-0.5
-1 2:0.25
"""


def test_regression_by_hand(tmp_path):
    (tmp_path / "model").write_text(MODEL)
    model = read_regressor(tmp_path / "model")
    np.testing.assert_array_equal(model.vectors, [[1, 0, -0.5], [0, 0.25, 0]])
    x = np.array([0.5, 0.0, 0.0])
    expected = 2 * np.exp(-0.5 * (0.25 + 0.25)) - np.exp(-0.5 * (0.25 + 0.0625)) + 1.5
    assert model(x) == pytest.approx(expected)


def test_another_kind_of_model_is_refused(tmp_path):
    (tmp_path / "model").write_text(MODEL.replace("epsilon_svr", "c_svc"))
    with pytest.raises(UserError, match="not a support vector regression"):
        read_regressor(tmp_path / "model")


def test_two_classes_are_a_logistic_of_the_decision():
    vectors = np.array([[0.0], [1.0]])
    one = np.ones(1)
    classifier = Classifier(vectors, np.array([[1.0, -1.0]]), np.array([1, 1]), 0 * one, -2 * one, 0 * one, 1.0)
    decision = Regressor(vectors, np.array([1.0, -1.0]), 0.0, 1.0)
    x = np.array([0.3])
    first = 1 / (1 + np.exp(-2 * decision(x)))
    np.testing.assert_allclose(classifier(x), [first, 1 - first], atol=5e-3)  # LIBSVM stops early


def test_coupling_finds_consistent_probabilities():
    p = np.array([0.5, 0.2, 0.15, 0.1, 0.05])
    pairwise = p[:, None] / (p[:, None] + p)
    np.fill_diagonal(pairwise, 0)
    np.testing.assert_allclose(couple(pairwise), p, atol=5e-3)
    assert couple(pairwise).sum() == pytest.approx(1)


def test_entropy_of_levels_and_power():
    """A flat block, two levels half and half, 64 different ones; a single cosine has all its power in one place."""
    halves = np.repeat([0.0, 200.0], 32).reshape(8, 8)
    blocks = np.stack([np.full((8, 8), 7.0), halves, np.arange(64.0).reshape(8, 8)])
    np.testing.assert_allclose(sseq._entropy_of_levels(blocks), [0, 1, 6])
    wave = 100 * np.cos(np.pi * (2 * np.arange(8) + 1) * 3 / 16) * np.ones((8, 1))
    noise = RNG.normal(0, 10, (8, 8))
    pure, mixed = sseq._entropy_of_power(np.stack([wave, noise]))
    assert pure < 2e-5
    assert 3 < mixed < np.log2(63)


@pytest.mark.parametrize("size", [(64, 64), (65, 71)])
def test_sizes_and_batches(assets, size):
    images = RNG.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    for name in ("brisque", "sseq"):
        both = compute(name, images, assets=assets)
        assert both.shape == (2,)
        assert both.dtype == np.float64
        assert np.isfinite(both).all()
        np.testing.assert_allclose(both[1:], compute(name, images[1:], assets=assets), rtol=1e-12)


@pytest.mark.parametrize("level", [0, 255])
def test_image_without_contrast_gives_nan(assets, level):
    flat = np.full((1, 64, 64, 3), level, np.uint8)
    for name in ("brisque", "sseq"):
        assert np.isnan(compute(name, flat, assets=assets)).all()


def test_features_as_text_drop_digits():
    values = np.array([1.23456789, 0.0000123456789])
    np.testing.assert_array_equal(brisque._as_text(values, "%f"), [1.234568, 0.000012])
    np.testing.assert_array_equal(brisque._as_text(values, "%g"), [1.23457, 1.23457e-05])


def test_damaged_ranges_are_an_error(tmp_path):
    (tmp_path / "ranges").write_text("y\n0 1\n")
    with pytest.raises(UserError, match="not a range file of svm-scale"):
        brisque._ranges(str(tmp_path / "ranges"))


def test_too_small(assets):
    with pytest.raises(UserError, match="SSEQ needs at least 64 pixels a side, got 63x80"):
        compute("sseq", np.zeros((1, 63, 80, 3), np.uint8), assets=assets)
