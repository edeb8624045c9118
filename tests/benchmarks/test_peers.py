"""The PyTorch networks that the benchmarks compare with compute what ours compute. Needs torch."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from ultrabm_jax.evaluation.random_variables import draw_variables
from ultrabm_jax.models import create_model
from ultrabm_jax.weights import from_torch

torch = pytest.importorskip("torch", reason="the peers of the benchmarks need torch")

from benchmarks.peers.drgn_torch import DrgnPeer  # noqa: E402
from benchmarks.peers.ultrabm_torch import STRUCTURE, UltraBMPeer  # noqa: E402


def flat(tree) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in flatten_dict(tree, sep="/").items()}


def ultrabm_peer(model, variables) -> UltraBMPeer:
    frozen = flat(variables["frozen"]["semantic"]) if "frozen" in variables else None
    return UltraBMPeer(flat(variables["params"]), vars(model), frozen=frozen)


def run(peer, image: np.ndarray) -> dict[str, np.ndarray]:
    with torch.inference_mode():
        outputs = peer.outputs(torch.from_numpy(image.transpose(0, 3, 1, 2)))
    return {name: value.numpy().transpose(0, 2, 3, 1) for name, value in outputs.items()}


def low(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).beta(1, 9, shape).astype(np.float32)


@pytest.mark.parametrize("options", [{"scale": 4}, {"scale": 2, "semantic": "vgg16"}], ids=str)
def test_ultrabm_equals_ours(options: dict):
    model = create_model("ultrabm", variant="small", **{"semantic": "none", **options})
    image = low(2, 40, 24, 3)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)
    variables = draw_variables(shapes)
    expected = jax.jit(model.apply)(variables, image)
    outputs = run(ultrabm_peer(model, variables), image)
    for name, value in outputs.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5 * np.abs(expected[name]).max())


@pytest.mark.parametrize("scale", [2, 4])
def test_ultrabm_equals_the_released_network(parity, rule_weights, scale: int):
    """Weights by the rule, outputs of the authors' code, its tolerances."""
    reference = parity(f"open/ultrais_x{scale}.npz")
    variables = from_torch("ultrabm", rule_weights(f"ultrais_x{scale}"), scale=scale)
    model = create_model("ultrabm", scale=scale, compat="ultrais", semantic="hrnet_w48")
    outputs = run(ultrabm_peer(model, variables), reference["x"])
    names = {"g": "guidance", "u": "illumination", "v_unclipped": "reflection_unclipped", "y": "restored"}
    for key, name in names.items():
        reference.check(key, outputs[name])


def test_ultrabm_refuses_another_structure():
    model = create_model("ultrabm", variant="small", semantic="none", stream="one")
    assert STRUCTURE["stream"] == "dual"
    with pytest.raises(ValueError, match="stream"):
        UltraBMPeer({}, vars(model))


@pytest.mark.parametrize("name", ["drgn", "lw_drgn"])
def test_drgn_equals_ours(name: str):
    model = create_model(name, scale=1)
    image = low(1, 32, 24, 3)
    params = draw_variables(jax.eval_shape(model.init, jax.random.key(0), image)["params"])
    expected = jax.jit(model.apply)({"params": params}, image)["restored"]
    with torch.inference_mode():
        restored = DrgnPeer(name, flat(params)).forward(torch.from_numpy(image.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(
        restored.numpy().transpose(0, 2, 3, 1), expected, atol=1e-5 * float(np.abs(expected).max())
    )
