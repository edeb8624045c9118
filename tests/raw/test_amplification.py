"""The amplifiers against the release's values, their equations written out, and edge cases."""

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.raw.amplification import (
    CODE_EDGES,
    CODE_WEIGHTS,
    amplification,
    amplification_code,
    amplification_mean,
    amplification_paper,
    burnt_out_notes,
    exposure_ratio,
    parse_amplification,
)

RNG = np.random.default_rng(0)
DARK = RNG.exponential(0.004, (24, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def reference(parity):
    return parity("open/red_amplifier.npz")


def test_bins_and_weights_are_the_releases(reference):
    np.testing.assert_array_equal(CODE_EDGES, reference["bins"])
    np.testing.assert_array_equal(CODE_WEIGHTS, reference["weights"])


@pytest.mark.parametrize("name", ["very_dark", "dark", "medium", "dark_highlights", "zeros", "edge_values"])
def test_the_release(reference, name):
    image = reference[f"img_{name}"]
    np.testing.assert_allclose(amplification_code(image), reference[f"na_demo_{name}"], rtol=1e-6)
    np.testing.assert_allclose(amplification_code(image), reference[f"na_f64_{name}"], rtol=1e-6)
    np.testing.assert_allclose(amplification_code(image, amp_factor=0.05), reference[f"na_train_{name}"], rtol=1e-6)


def test_all_saturated_is_one_where_the_release_is_not_a_number(reference):
    assert np.isnan(reference["na_demo_ones"])
    assert amplification_code(reference["img_ones"]) == 1


def test_amplification_paper_equals_a_slow_definition():
    """Equations 5 to 7, sample by sample; 0, the edges, 1 and beyond among them."""
    n, m = 16, 0.7
    edges = [0, *(2 ** (8 * k / n) / 2**8 for k in range(1, n + 1))]
    x = np.concatenate([DARK.ravel(), edges, [1.0, 1.5]])

    def weight(value):
        k = next((k for k in range(1, n + 1) if edges[k - 1] < value <= edges[k]), 1 if value <= 0 else n)
        return 2 ** ((n - k + 1) * 8 / n) / 2**8

    weights = np.array([weight(value) for value in x])
    expected = m * weights.sum() / (weights * x).sum()
    assert amplification_paper(x, m=m, bins=n) == pytest.approx(expected, rel=1e-12)


def test_amplification_code_equals_a_slow_definition():
    weights = [next((w for w, a, b in zip(CODE_WEIGHTS, CODE_EDGES, CODE_EDGES[1:], strict=False) if a <= x < b), 0)
               for x in DARK.ravel()]  # fmt: skip
    expected = 0.03 * np.sum(weights, dtype=float) / np.dot(np.array(weights, float), DARK.ravel().astype(float))
    assert amplification_code(DARK, amp_factor=0.03) == pytest.approx(expected, rel=1e-9)


def test_the_mean_is_brought_to_m():
    assert DARK.astype(float).mean() * amplification_mean(DARK, m=0.3) == pytest.approx(0.3, rel=1e-12)


def test_a_constant_mosaic_is_brought_to_m_by_both_of_the_papers():
    flat = np.full((4, 6), 0.01)
    assert amplification_paper(flat) == pytest.approx(50)
    assert amplification_mean(flat) == pytest.approx(50)


def test_saturated_lights_have_little_weight():
    """The reason for the weights: equation 4 halves, equation 5 does not."""
    lit = DARK.copy()
    lit[:1] = 1
    assert amplification_mean(lit) < 0.2 * amplification_mean(DARK)
    assert amplification_paper(lit) > 0.9 * amplification_paper(DARK)
    assert amplification_code(lit, amp_factor=0.5) > 0.9 * amplification_code(DARK, amp_factor=0.5)


@pytest.mark.parametrize("amplify", [amplification_paper, amplification_mean])
def test_amplification_is_inverse_to_the_exposure_and_linear_in_m(amplify):
    very_dark = DARK.clip(max=0.004)  # all in the paper's first bin
    assert amplify(very_dark / 2) == pytest.approx(2 * amplify(very_dark), rel=1e-6)
    assert amplify(very_dark, m=1.5) == pytest.approx(3 * amplify(very_dark), rel=1e-12)


@pytest.mark.parametrize("amplify", [amplification_paper, amplification_code, amplification_mean])
def test_edge_cases(amplify):
    assert amplify(np.zeros((2, 2))) == 300
    assert amplify(np.full((2, 2), -0.1)) == 300
    assert np.isfinite(amplify(np.full((2, 2), 4.0)))
    assert amplify(DARK) == amplify(DARK.reshape(-1, 1)) == amplify(DARK[..., None])
    for bad in (np.array([]), np.array([0.1, np.nan]), np.array([np.inf])):
        with pytest.raises(UserError, match="finite samples"):
            amplify(bad)


def test_the_code_stays_within_its_limits():
    assert amplification_code(np.full(9, 1e-6)) == 300
    assert amplification_code(np.full(9, 0.5)) == 1


@pytest.mark.parametrize(
    ("short", "long", "ratio"), [(0.1, 10, 100), (0.04, 10, 250), (0.033, 10, 300), (0.1, 30, 300), (1 / 30, 10, 300)]
)
def test_exposure_ratios_of_sid(short, long, ratio):
    assert exposure_ratio(short, long) == ratio


def test_exposure_ratio():
    assert exposure_ratio(0.3, 10) == pytest.approx(33.333333333333333, rel=1e-15)
    with pytest.raises(UserError, match="seconds above 0"):
        exposure_ratio(0, 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ratio", ("ratio", None)), ("paper:0.1", ("paper", 0.1)), ("mean", ("mean", None)), ("auto:5", ("auto", 5.0))],
)
def test_names_of_an_evaluation_state_the_kind_and_the_brightness(text, expected):
    assert parse_amplification(text) == expected


@pytest.mark.parametrize("text", ["automatic", "paper:", "paper:x", "paper:0", "mean:nan", "0.5", ""])
def test_other_names_list_the_known_kinds(text):
    with pytest.raises(UserError, match=r"is not one of ratio, auto, paper, mean, nor .*paper:0\.1"):
        parse_amplification(text)


def test_kinds_use_their_equation_with_m():
    assert amplification("mean", DARK) == amplification_mean(DARK, m=0.5)
    assert amplification("mean", DARK, 0.1) == amplification_mean(DARK, m=0.1)
    assert amplification("paper", DARK, 0.1) == amplification_paper(DARK, m=0.1)


def test_a_note_names_the_share_that_an_amplification_burns_out():
    samples = np.repeat(np.float32([0.001, 0.3, 1.0]), [60, 25, 15])  # dark, bright, white already
    assert burnt_out_notes(samples, 3.0) == []
    assert burnt_out_notes(samples, 4.0) == ["the amplification burns out 25% of the image; give --m a smaller number"]
    assert burnt_out_notes(DARK, amplification("auto", DARK)) == []
