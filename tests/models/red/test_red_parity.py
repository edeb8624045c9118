"""RED with its released weights against the authors' program, with every stage that the reference has.

Without the released weights: weights by the rule, against recorded outputs (tests/reference/README.md).
"""

import jax
import numpy as np
import pytest

from ultrabm_jax.models import create_model
from ultrabm_jax.weights import from_torch

INPUTS = {"raw", "m", "na", "x"}


@pytest.fixture(scope="module")
def released(released_weights):
    return released_weights("red_sony_released.pth")


def summaries(a):
    """The statistics and corners that the reference stores in addition to whole features (b, h, w, c)."""
    i, j = (max(0, size // 2 - 2) for size in a.shape[1:3])
    return {
        "": a,
        "_mean": a.mean((0, 1, 2)),
        "_std": a.std((0, 1, 2)),
        "_patch": a[:, i : i + 4, j : j + 4],
        "_tl": a[:, :4, :4],
        "_br": a[:, -4:, -4:],
    }


@pytest.mark.parametrize("weight_norm", [True, False], ids=["gains", "folded"])
@pytest.mark.parametrize("size", ["32x32", "96x160", "256x384"])
def test_whole_network(parity, released, size, weight_norm):
    reference = parity(f"open/red_{size}.npz")
    variables = from_torch("red", released, weight_norm=weight_norm)
    model = create_model("red", weight_norm=weight_norm)
    out, sown = jax.jit(lambda v, x: model.apply(v, x, mutable=["intermediates"]))(variables, reference["x"])
    reference.check("y", out["restored"])
    restored = np.asarray(out["restored"])
    reference.check("frac_clipped", np.mean((restored == 0) | (restored == 1)))
    checked, keys = {"y", "frac_clipped"}, set(reference.keys())
    for name, (feature,) in sown["intermediates"].items():
        for part, value in summaries(np.asarray(feature, np.float64)).items():
            if name + part in keys:
                reference.check(name + part, value)
                checked.add(name + part)
    assert keys - checked - INPUTS == set()
