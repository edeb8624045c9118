"""The importer of released UltraBM weights: every tensor is used once, other files are refused. No compilation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.models import create_model
from ultrabm_jax.weights import from_torch


@pytest.fixture(scope="module")
def state_dict(rule_weights):
    return rule_weights("ultrais_x2")


def test_import_fits_the_module(state_dict):
    variables = from_torch("ultrabm", state_dict, scale=2)
    model = create_model("ultrabm", scale=2, compat="ultrais", semantic="hrnet_w48")
    expected = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    assert jax.tree.structure(variables) == jax.tree.structure(dict(expected))
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, dict(expected))


def test_wrong_scale_is_an_error(state_dict):
    with pytest.raises(UserError, match="for scale 2, not 4"):
        from_torch("ultrabm", state_dict, scale=4)


def test_missing_and_unexpected_tensors_are_named(state_dict):
    broken = dict(state_dict)
    broken["extra.weight"] = broken.pop("illumination.conv_in.bias")
    with pytest.raises(UserError, match=r"illumination\.conv_in\.bias.*extra\.weight") as error:
        from_torch("ultrabm", broken)
    assert "\n" not in str(error.value)


def test_released_file_without_the_unregistered_convolutions_is_refused(state_dict):
    released = {name: value for name, value in state_dict.items() if "rsmu_stage" not in name}
    with pytest.raises(UserError, match="rsmu_stage"):
        from_torch("ultrabm", released)


def test_paper_variant_has_other_shapes(state_dict):
    with pytest.raises(UserError, match=r"of another shape, first reflectance\.RTFU\.rsmu_stage1"):
        from_torch("ultrabm", state_dict, compat="paper")


def test_another_networks_weights_are_refused():
    with pytest.raises(UserError, match="these weights do not belong to UltraBM x2"):
        from_torch("ultrabm", {"features.0.weight": np.zeros((64, 3, 3, 3), np.float32)})
