"""Importer and exporter of the released RED: round trips, errors for other files. No compilation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.models import create_model
from ultrabm_jax.weights import from_torch, load_torch, save_torch, to_torch


@pytest.fixture(scope="module")
def released(released_weights):
    return released_weights("red_sony_released.pth")


def random_red(**options):
    model = create_model("red", **options)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, model.multiple, model.multiple, 1)))
    rng = np.random.default_rng(0)
    return {"params": jax.tree.map(lambda x: rng.normal(0, 1, x.shape).astype(x.dtype), dict(shapes)["params"])}


@pytest.mark.parametrize("weight_norm", [True, False])
def test_import_fits_the_module(released, weight_norm):
    variables = from_torch("red", released, weight_norm=weight_norm)
    model = create_model("red", weight_norm=weight_norm)
    expected = dict(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1))))
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, expected)


def test_export_reproduces_every_released_tensor(released):
    exported = to_torch("red", from_torch("red", released))
    assert set(exported) == set(released)
    for name, value in released.items():
        np.testing.assert_array_equal(exported[name], value, err_msg=name)


@pytest.mark.parametrize(
    "options", [{"variant": "paper"}, {"dense_layers": (1, 2, 3)}, {"hse_reduction": "one"}], ids=str
)
def test_round_trip_of_other_variants(tmp_path, options):
    variables = random_red(**options)
    save_torch(tmp_path / "red.pth", {"model": to_torch("red", variables)})
    again = from_torch("red", load_torch(tmp_path / "red.pth"), **options)
    jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_folded_weights_are_exported_with_their_norms_as_gains(released):
    folded = from_torch("red", released, weight_norm=False)
    exported = to_torch("red", folded)
    assert set(exported) == set(released)
    again = from_torch("red", exported, weight_norm=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), again, folded)


def test_file_without_weight_norm(released):
    folded = from_torch("red", released, weight_norm=False)
    removed = {name.replace("weight_v", "weight"): value for name, value in to_torch("red", folded).items()
               if not name.endswith("weight_g")}  # fmt: skip
    again = from_torch("red", removed, weight_norm=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), again, folded)


def test_weights_of_other_networks_are_refused(released):
    with pytest.raises(UserError, match=r"RED \(variant paper\).*first RDB1\.dense_layers\.4\.conv\.1\.weight_v"):
        from_torch("red", released, variant="paper")
    broken = dict(released)
    broken["extra.weight"] = broken.pop("conv2x.0.bias")
    with pytest.raises(UserError, match=r"missing, first conv2x\.0\.bias; .*unexpected, first extra\.weight") as error:
        from_torch("red", broken)
    assert "\n" not in str(error.value)
    misshapen = {**released, "conv2x.0.weight_v": np.zeros((12, 4, 7, 7), np.float32)}
    with pytest.raises(UserError, match=r"of another shape, first conv2x\.0\.weight_v"):
        from_torch("red", misshapen)


def test_unknown_exporter():
    with pytest.raises(UserError, match="no exporter for 'ultrabm'; known: red"):
        to_torch("ultrabm", {})
