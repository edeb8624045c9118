"""How DRGN's first phase is judged while it runs: scalars by hand, and a warning for each kind of collapse."""

import importlib

import jax
import numpy as np
import pytest

from ultrabm_jax.methods import create_method
from ultrabm_jax.methods.drgn_diagnostics import collapse, health

LOW = np.random.default_rng(0).uniform(0, 0.2, (2, 16, 16, 3)).astype(np.float32)


def looks(low_ref, degradation, degradation_ref):
    return {name: float(value) for name, value in jax.jit(health)(LOW, low_ref, degradation, degradation_ref).items()}


def test_health_by_hand():
    degradation = -0.5 * LOW
    found = looks(0.5 * LOW, degradation, degradation + 0.01)
    assert found["health/i_d"] == pytest.approx(-LOW.mean() / 2, rel=1e-4)
    assert found["health/i_d_contrast"] == pytest.approx(0.5, rel=1e-4)
    assert found["health/i_d_change"] == pytest.approx(0.02 / LOW.mean(), rel=1e-3)
    assert (found["health/low"], found["health/low_ref"]) == pytest.approx((LOW.mean(), LOW.mean() / 2), rel=1e-4)
    y = LOW @ np.array([0.299, 0.587, 0.114], np.float32)
    assert found["health/y_low/1-16"] == pytest.approx(((y > 1 / 32) & (y <= 1 / 16)).mean(), abs=1e-6)
    for kind, scale in (("low", 1.0), ("ref", 0.5)):
        shares = [value for name, value in found.items() if name.startswith(f"health/y_{kind}/")]
        assert sum(shares) == pytest.approx(1)
        assert found[f"health/y_{kind}/1-32"] == pytest.approx((scale * y <= 1 / 32).mean(), abs=1e-6)


def test_brightness_distance_is_0_for_equal_and_1_for_disjoint_histograms():
    assert looks(LOW, LOW, LOW)["health/y_distance"] == pytest.approx(0, abs=1e-6)
    assert looks(np.ones_like(LOW), LOW, LOW)["health/y_distance"] == pytest.approx(1, abs=1e-3)
    assert 0.1 < looks(0.7 * LOW, LOW, LOW)["health/y_distance"] < 0.9


FLAT = np.full_like(LOW, -0.3)
GAMES = {
    "well": ((0.8 * LOW, -2 * LOW, -1.5 * LOW), set()),
    "constant": ((0.8 * LOW, FLAT, FLAT - 0.1), {"flat"}),
    "copy": ((0.8 * LOW, -2 * LOW, -2 * LOW), {"copy"}),
    "constant copy": ((0.8 * LOW, FLAT, FLAT), {"flat", "copy"}),
    "bright": ((np.ones_like(LOW), -2 * LOW, -LOW), {"brightness"}),
    "black": ((np.zeros_like(LOW), -2 * LOW, -LOW), {"brightness"}),
}


@pytest.mark.parametrize(("maps", "expected"), GAMES.values(), ids=GAMES)
def test_each_kind_of_collapse_gives_a_warning(maps, expected):
    warned = collapse(looks(*maps))
    assert set(warned) == expected
    assert not any("\n" in text for text in warned.values())


def test_warnings_start_after_a_warm_up_and_stop_with_phase_1():
    config = importlib.import_module("configs.lw_drgn_lol").get_config()
    one, scalars = create_method(config), looks(*GAMES["constant"][0])
    assert one.warnings(100, scalars) == {}
    assert set(one.warnings(4000, scalars)) == {"flat"}
    assert one.warnings(20_000, {"loss/con": 0.1}) == {}


def test_one_exposure_for_an_image_is_not_a_collapse():
    settings = importlib.import_module("configs.lw_drgn_lol").get_config()
    settings.model.degradation = "exposure"
    scalars = {"health/i_d_contrast": 0.0, "health/low": 0.06, "health/low_ref": 0.5}
    assert set(create_method(settings).warnings(10_000, scalars)) == {"brightness"}


def test_missing_scalars_are_ignored_by_collapse_warnings():
    """A logger may average some of the scalars only."""
    lost = looks(*GAMES["constant copy"][0])
    for left_out, expected in (("i_d_contrast", {"copy"}), ("i_d_change", {"flat"}), ("low", {"flat", "copy"})):
        rest = {name: value for name, value in lost.items() if name != f"health/{left_out}"}
        assert set(collapse(rest)) == expected
    assert collapse({"health/i_d": -0.1}) == {}
