"""Importers of the released Zero-DCE and SCI: every tensor is imported, other files are refused. No compilation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.models import create_model
from ultrabm_jax.weights import from_torch, release_options


@pytest.fixture(scope="module")
def zero_dce(released_weights):
    return released_weights("zero_dce_epoch99.pth")


@pytest.fixture(scope="module")
def sci(released_weights):
    return released_weights("sci_medium.pth")


@pytest.mark.parametrize(("name", "options"), [("zero_dce", {}), ("sci", {}), ("sci", {"stages": 3})])
def test_import_fits_the_module(request, name, options):
    state = request.getfixturevalue(name)
    variables = from_torch(name, state, **options)
    model = create_model(name, **{**release_options(name), **options})
    expected = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, dict(expected))


def test_every_tensor_of_zero_dce_is_imported(zero_dce):
    variables = from_torch("zero_dce", {f"module.{name}": value for name, value in zero_dce.items()})
    for n in range(1, 8):
        layer = variables["params"][f"conv{n}"]
        np.testing.assert_array_equal(layer["kernel"].transpose(3, 2, 0, 1), zero_dce[f"e_conv{n}.weight"])
        np.testing.assert_array_equal(layer["bias"], zero_dce[f"e_conv{n}.bias"])


def test_skipped_tensors_are_copies_of_imported_ones(sci):
    """The tensors that the importer skips hold nothing new."""
    repeated = [name for name in sci if ".blocks." in name]
    assert len(repeated) == 7 + 3 * 14
    for name in repeated:
        read = "calibrate.convs" if name.startswith("calibrate") else "enhance.conv"
        np.testing.assert_array_equal(sci[name], sci[f"{read}.{name.split('.', 3)[3]}"])


def test_weights_of_other_networks_are_refused(zero_dce, sci):
    with pytest.raises(UserError, match=r"Zero-DCE: .*missing, first e_conv1\.bias; .*unexpected, first calibrate"):
        from_torch("zero_dce", dict(sorted(sci.items())))
    with pytest.raises(UserError, match=r"SCI: .*missing, first enhance\..*unexpected, first e_conv1"):
        from_torch("sci", zero_dce)
    without = {name: value for name, value in sci.items() if not name.startswith("calibrate.convs")}
    from_torch("sci", without)
    with pytest.raises(UserError, match=r"SCI: .*missing, first calibrate\.convs"):
        from_torch("sci", without, stages=3)
    with pytest.raises(UserError, match=r"of another shape, first e_conv7\.bias"):
        from_torch("zero_dce", {**zero_dce, "e_conv7.bias": np.zeros(3, np.float32)})
