"""Parity of the whole network with the authors' code, x2 and x4, for every intermediate of the reference."""

import jax
import numpy as np
import pytest

from ultrabm_jax.models import create_model
from ultrabm_jax.weights import from_torch

NAMED = {
    "g": "guidance",
    "u": "illumination",
    "v_unclipped": "reflection_unclipped",
    "v": "reflection",
    "y": "restored",
}


def summaries(a):
    """The statistics and corners that the reference keeps of a feature (b, h, w, c)."""
    i, j = (max(0, size // 2 - 2) for size in a.shape[1:3])
    return {
        "mean": a.mean((0, 1, 2)),
        "std": a.std((0, 1, 2)),
        "patch": a[:, i : i + 4, j : j + 4],
        "tl": a[:, :4, :4],
        "br": a[:, -4:, -4:],
    }


def features_of(sown):
    """{reference's name: feature} out of the "intermediates" collection."""
    tree = {**sown, **sown["rsmu"]}
    features = {name.removesuffix("_out"): value[0] for name, value in tree.items() if isinstance(value, tuple)}
    features["rsmu_final1_preact"] = features.pop("rsmu_fuse")
    return features


@pytest.mark.parametrize("scale", [2, 4])
def test_whole_network(parity, rule_weights, scale):
    reference = parity(f"open/ultrais_x{scale}.npz")
    variables = from_torch("ultrabm", rule_weights(f"ultrais_x{scale}"), scale=scale)
    model = create_model("ultrabm", scale=scale, compat="ultrais", semantic="hrnet_w48")
    out, sown = jax.jit(lambda v, x: model.apply(v, x, mutable=["intermediates"]))(variables, reference["x"])
    for key, name in NAMED.items():
        reference.check(key, out[name])
    checked, keys = set(), set(reference.keys())
    for name, feature in features_of(sown["intermediates"]).items():
        for part, value in summaries(np.asarray(feature, np.float64)).items():
            if f"{name}_{part}" in keys:
                reference.check(f"{name}_{part}", value)
                checked.add(f"{name}_{part}")
    # The encoders' features are not kept; every decoder level depends on them.
    left = {key for key in keys if "_enc" not in key} - checked - {"x", *NAMED}
    assert not left
