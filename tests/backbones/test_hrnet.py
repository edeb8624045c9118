"""HRNet: parity with the official implementation, parameter counts, odd sizes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.backbones.hrnet import HRNet
from ultrabm_jax.weights import from_torch


def count(tree) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.fixture(scope="module")
def run(parity, rule_weights):
    """Outputs and intermediates, without jit: faster than compiling 300 convolutions into one program."""
    variables = jax.device_put(from_torch("hrnet_w48", rule_weights("hrnet_w48")))
    oracle = parity("open/hrnet_w48.npz")
    outputs, state = HRNet().apply(variables, oracle["x"], capture_intermediates=True, mutable=["intermediates"])
    return oracle, outputs, state["intermediates"]


def test_maps_and_logits(run):
    oracle, outputs, _ = run
    for name, value in zip(("s48", "s96", "s192", "s384"), outputs["stage4"], strict=True):
        oracle.check(name, value)
    oracle.check("logits", outputs["logits"])


def test_intermediates(run):
    oracle, _, inside = run
    output = lambda node: np.asarray(node["__call__"][0])  # noqa: E731
    values = {
        "stem": np.maximum(output(inside["bn2"]), 0),
        "layer1": output(inside["layer1_3"]),
        "stage2_b0_mod0_branch": output(inside["stage2_0"]["branches_0_3"]),
        "stage3_mod0_branch1": output(inside["stage3_0"]["branches_1_3"]),
        "last_conv0": output(inside["last_layer_0"]),
    }
    for name, value in values.items():
        oracle.check(f"{name}_mean", value.mean((0, 1, 2)))
        oracle.check(f"{name}_std", value.std((0, 1, 2)))
        oracle.check(f"{name}_tl", value[:, :4, :4])
        oracle.check(f"{name}_br", value[:, -4:, -4:])


@pytest.fixture(scope="module")
def shapes():
    """Shapes of W48's outputs and variables, traced once for a size that is not divisible by powers of two."""
    return jax.eval_shape(HRNet().init_with_output, jax.random.key(0), jnp.zeros((2, 70, 99, 3)))


def test_golden_counts(shapes):
    _, variables = shapes
    assert count(variables["params"]) == 65_888_219
    # torch counts 85,842 buffers: these, and one batch counter in each of the normalisations
    normalisations = len(jax.tree.leaves(variables["batch_stats"])) // 2
    assert count(variables["batch_stats"]) == 85_536
    assert count(variables["batch_stats"]) + normalisations == 85_842


def test_odd_sizes_are_rounded_up(shapes):
    outputs, _ = shapes
    assert [x.shape for x in outputs["stage4"]] == [(2, 18, 25, 48), (2, 9, 13, 96), (2, 5, 7, 192), (2, 3, 4, 384)]
    assert outputs["logits"].shape == (2, 70, 99, 59)


def test_w18_has_its_own_widths_and_classes():
    model = HRNet(width=18, num_classes=7)
    outputs, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    assert [x.shape[-1] for x in outputs["stage4"]] == [18, 36, 72, 144]
    assert outputs["logits"].shape == (1, 64, 64, 7)
