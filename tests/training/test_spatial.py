"""An image whose height is split over eight devices is restored as on one. They share one process."""

import json

import pytest

# In units of the largest value; sums in another order. Restored, measured: 0 (DRGN, LW-DRGN, Zero-DCE, SCI),
# 1.1e-7 (RED), 7.6e-7 (UltraBM). A gradient sums over all positions.
RESTORED, GRADIENT = 2e-6, 1e-5
QUICK = ["red", "lw_drgn", "zero_dce", "sci"]


def reports(python, *arguments):
    done = python("tests/training/spatial.py", *arguments, devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    return {line["model"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def restored(python):
    return reports(python, "restored", *QUICK)


@pytest.mark.parametrize("model", QUICK)
def test_spatially_split_image_is_restored_like_a_whole_one(restored, model):
    """Channel attention, pooling and Gaussian pyramids among them."""
    assert restored[model]["restored"] < RESTORED
    assert restored[model]["halos"] > 0
    assert restored[model]["gathered"] == []


@pytest.mark.soak
@pytest.mark.parametrize("model", [*QUICK, "drgn", "ultrabm", "lolisrflow"])
def test_gradients_of_a_spatially_split_image_equal_those_of_a_whole_one(python, model):
    """Context blocks, selective fusion, attention over all positions among them."""
    report = reports(python, "gradient", model)[model]
    print(report)
    assert report["restored"] < RESTORED
    assert report["gradient"] < GRADIENT
    assert report["gathered"] == []
