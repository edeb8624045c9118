"""The option `input_maps` of DRGN, LW-DRGN and UltraBM: what the networks receive, in training and on tiles."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick_xla

from ultrabm_jax.config import default_config
from ultrabm_jax.image.equalisation import equalise
from ultrabm_jax.layers.colour_ratio import colour_ratio, noise_map
from ultrabm_jax.layers.input_maps import CHANNELS, input_maps
from ultrabm_jax.methods import create_method
from ultrabm_jax.models import create_model, create_task

TINY = {
    "drgn": {"width": 4, "groups": (1, 1), "depths": (1, 1), "reduction": 2, "dl_da": False},
    "lw_drgn": {"width": 4, "groups": 1, "depth": 1, "reduction": 2, "dl_da": False},
    "ultrabm": {"width": 4, "semantic": "none", "isdm": "none", "upsampler": "bilinear"},
}


def images(*size, seed=0):
    """Dark 8-bit images as floats."""
    values = np.random.default_rng(seed).integers(0, 40, (2, *(size or (16, 16)), 3))
    return (values / 255).astype(np.float32)


def equalised(low):
    return np.stack([equalise(np.rint(255 * each).astype(np.uint8)) for each in low]).astype(np.float32) / 255


def test_maps_are_those_of_lolisrflows_encoder():
    low = images()
    maps = np.asarray(input_maps(low, equalised(low)))
    assert maps.shape == (2, 16, 16, CHANNELS)
    np.testing.assert_allclose(maps[..., :3], np.log(low + 1e-3), rtol=1e-6)
    np.testing.assert_array_equal(maps[..., 3:6], equalised(low))
    np.testing.assert_array_equal(maps[..., 6:9], colour_ratio(low))
    np.testing.assert_array_equal(maps[..., 9:], noise_map(colour_ratio(low)))


@pytest.mark.parametrize("name", TINY)
def test_only_the_first_convolution_grows(name):
    plain, with_maps = (
        jax.eval_shape(
            create_model(name, **TINY[name], input_maps=maps).init, jax.random.key(0), jnp.zeros((1, 16, 16, 3))
        )["params"]
        for maps in (False, True)
    )
    different = [
        (a.shape, b.shape)
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(with_maps), strict=True)
        if a.shape != b.shape
    ]
    firsts = 2 if name == "drgn" else 1  # one for each level of the pyramid
    assert len(different) == firsts
    assert all(b == (*a[:2], a[2] + CHANNELS, a[3]) for a, b in different)


@functools.cache
def trained(name):
    """(task, restore): the task of a tiny network, and a jitted apply."""
    task = create_task(name, **TINY[name], input_maps=True)
    return task, jax.jit(task.model.apply, compiler_options=quick_xla.OPTIONS)


@pytest.fixture(params=list(TINY))
def network(request, random_variables):
    task, apply = trained(request.param)
    return task, random_variables(task.model, task.example_input()), apply


def test_an_image_is_equalised_by_the_network_itself(network):
    _, variables, apply = network
    low = images()
    given = apply(variables, low, equalised=equalised(low))["restored"]
    np.testing.assert_allclose(apply(variables, low)["restored"], given, atol=1e-6)


def test_a_patch_gets_the_equalised_image_that_it_is_given(network):
    _, variables, apply = network
    low = images()
    other = apply(variables, low, equalised=equalised(low) ** 2)["restored"]
    assert np.abs(apply(variables, low)["restored"] - other).max() > 1e-3


def test_tiles_use_the_tables_of_their_image(network):
    """Without whole-image tables, a tile from a flat corner would be equalised to another brightness."""
    task, variables, apply = network
    record = jax.jit(functools.partial(task.model.apply, mutable=["statistics"]), compiler_options=quick_xla.OPTIONS)
    _, recorded = record(variables, images())
    assert recorded["statistics"]["equalisation"].shape == (2, 3, 256)
    low = images(seed=1)
    only_tables = {"statistics": {"equalisation": recorded["statistics"]["equalisation"]}}
    shared = apply({**variables, **only_tables}, low)["restored"]
    assert np.abs(shared - apply(variables, low)["restored"]).max() > 1e-4


@pytest.mark.parametrize("name", ["lw_drgn", "ultrabm"])
def test_training_uses_the_equalised_image_of_the_batch(name, random_variables):
    config = default_config(name)
    config.model.update({"input_maps": True} | TINY[name])
    config.loss.update({"lambda_p": 0.0} if name == "ultrabm" else {})
    method = create_method(config)
    low = images()
    batch = {"low": low, "reference": np.repeat(np.repeat(images(seed=2), method.task.scale, 1), method.task.scale, 2)}
    params = random_variables(method.model, method.task.example_input())["params"]

    @functools.partial(jax.jit, compiler_options=quick_xla.OPTIONS)
    def loss(batch):
        if name == "lw_drgn":
            return method.refinement_loss(params["reg"], batch, deg=None, frozen={})[0]
        return sum(method.terms(params, frozen={}, batch=batch).values())

    alone = float(loss(batch))
    assert float(loss(batch | {"equalised": equalised(low)})) == pytest.approx(alone, rel=1e-5)
    assert float(loss(batch | {"equalised": equalised(low) ** 2})) != pytest.approx(alone, rel=1e-4)


def test_synthetic_dark_patches_are_equalised_themselves(random_variables):
    """With degradation learning, the maps of a synthetic patch belong to that patch."""
    config = default_config("lw_drgn")
    config.model.input_maps = True
    config.model.update({"width": 4, "groups": 1, "depth": 1, "reduction": 2})
    method = create_method(config)
    params = random_variables(method.model, method.task.example_input())["params"]
    batch = {"low": images(), "reference": images(seed=2), "photo": images(seed=3)}
    loss = jax.jit(
        lambda batch: method.refinement_loss(params["reg"], batch, deg=params["deg"], frozen={})[1],
        compiler_options=quick_xla.OPTIONS,
    )
    terms, other = loss(batch), loss(batch | {"equalised": equalised(batch["low"]) ** 2})
    assert float(terms["con"]) != pytest.approx(float(other["con"]), rel=1e-5)
    assert float(terms["con_ref"]) == pytest.approx(float(other["con_ref"]), rel=1e-6)
