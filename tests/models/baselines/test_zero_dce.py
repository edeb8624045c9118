"""Zero-DCE: counts, the authors' values with their weights, the curves against a slow form, sizes and bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
from ultrabm_jax.models import create_model
from ultrabm_jax.models.baselines.zero_dce import apply_curves
from ultrabm_jax.weights import from_torch

MODEL = create_model("zero_dce")


@pytest.fixture(scope="module")
def apply():
    return jax.jit(MODEL.apply)


@pytest.fixture(scope="module")
def variables(random_variables):
    return random_variables(MODEL, jnp.zeros((1, 8, 8, 3)))


def image(*size, seed=0):
    return np.random.default_rng(seed).random((1, *size, 3), np.float32)


def test_golden_counts():
    assert count_parameters(jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))) == 79_416
    # 9 * (3 + 3 * 32 + 2 * 64) * 32 + 9 * 64 * 24 for each pixel
    assert count_convolution_macs(MODEL, jax.ShapeDtypeStruct((1, 5, 7, 3), jnp.float32)) == 35 * 79_200


@pytest.mark.parametrize("name", ["bus", "plant"])
def test_authors_values(released_weights, parity, apply, name):
    reference = parity(f"open/zerodce_{name}.npz")
    out = apply(from_torch("zero_dce", released_weights("zero_dce_epoch99.pth")), reference["x"])
    reference.check("curves", out["curves"])
    reference.check("y", out["restored"])
    reference.check("y_iter4", apply_curves(reference["x"], out["curves"][..., :12]))


def test_curves_are_the_papers_equation():
    low, alpha = image(3, 4), np.random.default_rng(1).uniform(-1, 1, (1, 3, 4, 6)).astype(np.float32)
    expected = low.astype(np.float64)
    for a in (alpha[..., :3], alpha[..., 3:]):
        expected = expected + a * expected * (1 - expected)
    np.testing.assert_allclose(apply_curves(low, -alpha), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (17, 16)])
def test_any_size(apply, variables, size):
    out = apply(variables, image(*size))
    assert out["restored"].shape == (1, *size, 3)
    assert out["curves"].shape == (1, *size, 24)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_stays_black_and_white_white(apply, variables, value):
    restored = apply(variables, np.full((1, 6, 5, 3), value, np.float32))["restored"]
    np.testing.assert_array_equal(restored, value)


def test_curves_keep_the_order_of_values():
    low = np.linspace(0, 1, 101, dtype=np.float32)[None, None, :, None].repeat(3, axis=-1)
    curves = np.random.default_rng(2).uniform(-1, 1, (1, 1, 1, 24)).astype(np.float32)
    assert (np.diff(apply_curves(low, np.broadcast_to(curves, (1, 1, 101, 24))), axis=2) >= -1e-6).all()


def test_scale_must_be_one():
    with pytest.raises(UserError, match="unknown scale of zero_dce: 2; known: 1"):
        create_model("zero_dce", scale=2)


def test_bfloat16_computes_curves_only():
    model = MODEL.clone(dtype=jnp.bfloat16)
    low = jnp.zeros((1, 8, 8, 3))
    shapes = jax.eval_shape(model.init, jax.random.key(0), low)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    assert jax.eval_shape(model.apply, shapes, low)["restored"].dtype == jnp.float32
