"""Invertible layers: the inverse is exact, and the log-determinant is that of the Jacobian by autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.models.lolisrflow.flow import invertible_conv
from ultrabm_jax.models.lolisrflow.flow.actnorm import ActNorm
from ultrabm_jax.models.lolisrflow.flow.coupling import AffineInjector, ConditionalCoupling
from ultrabm_jax.models.lolisrflow.flow.float32_conv import convolve
from ultrabm_jax.models.lolisrflow.flow.flow_step import FlowStep, Transition
from ultrabm_jax.models.lolisrflow.flow.gaussian_split import Split
from ultrabm_jax.models.lolisrflow.flow.step_chain import Chain

B, H, W, C = 2, 3, 2, 5  # an odd number of channels: halves of 2 and 3
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(B, H, W, C)).astype(np.float32)
CONDITION = RNG.normal(size=(B, H, W, 4)).astype(np.float32)
STEP = (("hidden", 6), ("order", "injector_first"))
LAYERS = {
    "actnorm": (ActNorm(), ()),
    "injector": (AffineInjector(6), (CONDITION,)),
    "coupling": (ConditionalCoupling(6), (CONDITION,)),
    "transitions": (Chain(Transition, (), 2), (CONDITION,)),
    "steps": (Chain(FlowStep, STEP, 3), (CONDITION,)),
    "coupling_first": (Chain(FlowStep, (("hidden", 6), ("order", "coupling_first")), 2), (CONDITION,)),
}


def total(logdet):
    """(b,) of one layer, or (steps, b) of a chain."""
    return np.asarray(logdet).reshape(-1, B).sum(axis=0)


@pytest.mark.parametrize("name", LAYERS)
def test_inverse_and_log_determinant_of_layers(name, flow_variables):
    layer, inputs = LAYERS[name]
    variables = flow_variables(layer, Z, *inputs)

    @jax.jit
    def everything(variables, z, inputs):
        out, logdet = layer.apply(variables, z, *inputs)
        again, back = layer.apply(variables, out, *inputs, inverse=True)
        jacobian = jax.jacrev(lambda z: layer.apply(variables, z, *inputs)[0])(z)
        return out, logdet, again, back, jacobian

    out, logdet, again, back, jacobian = everything(variables, Z, inputs)
    np.testing.assert_allclose(again, Z, atol=1e-5)
    assert np.abs(out - Z).max() > 0.1
    np.testing.assert_allclose(total(back), -total(logdet), atol=1e-4)
    for b in range(B):
        matrix = np.asarray(jacobian)[b, :, :, :, b].reshape(H * W * C, H * W * C)
        assert total(logdet)[b] == pytest.approx(np.linalg.slogdet(matrix.astype(np.float64))[1], abs=1e-4)


def test_a_split_is_inverted_and_its_noise_has_the_likelihood_of_the_removed_half(flow_variables):
    layer = Split(C)
    variables = flow_variables(layer, Z)
    kept, e, logdet = layer.apply(variables, Z)
    assert kept.shape[-1] == 2
    assert e.shape[-1] == 3
    again, back = layer.apply(variables, kept, e, method="join")
    np.testing.assert_allclose(again, Z, atol=1e-5)
    np.testing.assert_allclose(back, -logdet, atol=1e-5)
    head = layer.apply(variables, kept, method=lambda m, x: m.net(x))
    mean, deviation = np.asarray(head[..., 0::2], np.float64), np.exp(np.asarray(head[..., 1::2], np.float64))
    removed = Z[..., 2:]
    density = -((removed - mean) ** 2) / (2 * deviation**2) - np.log(deviation * np.sqrt(2 * np.pi))
    ours = logdet + jnp.sum(-(e**2) / 2 - np.log(np.sqrt(2 * np.pi)), axis=(1, 2, 3))
    np.testing.assert_allclose(ours, density.sum(axis=(1, 2, 3)), rtol=1e-4)


def test_fresh_affine_layers_only_scale():
    """Their last convolution starts at zero: t = 0 and a = sigmoid(2) + 1e-4, of all channels or of the second half."""
    a = 1 / (1 + np.exp(-2)) + 1e-4
    for layer, changed in ((AffineInjector(6), slice(None)), (ConditionalCoupling(6), slice(2, None))):
        (out, logdet), _ = layer.init_with_output(jax.random.key(0), Z, CONDITION)
        expected = Z.copy()
        expected[..., changed] *= a
        np.testing.assert_allclose(out, expected, rtol=1e-5)
        np.testing.assert_allclose(logdet, H * W * len(range(C)[changed]) * np.log(a), rtol=1e-5)


def test_matrices_start_as_different_rotations():
    matrices = np.asarray(invertible_conv.orthogonal(jax.random.key(0), (3, 7, 7)))
    for matrix in matrices:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(7), atol=1e-5)
    np.testing.assert_allclose(invertible_conv.log_abs_determinant(matrices), 0, atol=1e-5)
    assert np.abs(matrices[0] - matrices[1]).max() > 0.1


@pytest.mark.parametrize("condition_number", [1, 100])
def test_inverse_is_as_accurate_as_in_float64(condition_number):
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(192, 192)))[0] for _ in range(2))
    matrix = ((left * np.geomspace(1, 1 / condition_number, 192)) @ right).astype(np.float32)
    z = rng.normal(size=(1, 4, 4, 192)).astype(np.float32)
    mixed = invertible_conv.mix(jnp.array(z), jnp.array(matrix))
    ours = np.abs(invertible_conv.mix(mixed, invertible_conv.inverse(jnp.array(matrix)[None])[0]) - z).max()
    best = np.abs(
        invertible_conv.mix(mixed, jnp.array(np.linalg.inv(matrix.astype(np.float64)), jnp.float32)) - z
    ).max()
    assert ours < 3 * best
    assert ours < 1e-4


def products(jaxpr):
    """The precision of every product in a program and in what it calls."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("conv_general_dilated", "dot_general"):
            yield equation.params["precision"]
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from products(inner)


def test_all_products_are_of_float32_precision_in_both_directions_and_their_gradients():
    layer, inputs = LAYERS["steps"]
    variables = jax.eval_shape(layer.init, jax.random.key(0), Z, *inputs)

    def both_ways(variables, z):
        out, logdet = layer.apply(variables, z, *inputs)
        return jnp.sum(layer.apply(variables, out, *inputs, inverse=True)[0]) + jnp.sum(logdet)

    precisions = list(products(jax.make_jaxpr(jax.grad(both_ways))(variables, Z).jaxpr))
    assert len(precisions) > 20
    assert set(precisions) == {(jax.lax.Precision.HIGHEST,) * 2}


@pytest.mark.parametrize("size", [1, 3])
def test_the_gradients_of_a_convolution_are_autodiffs(size):
    x, kernel = RNG.normal(size=(2, 5, 4, 3)), RNG.normal(size=(size, size, 3, 7))
    dy = RNG.normal(size=(2, 5, 4, 7)).astype(np.float32)

    def xlas(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    @jax.jit
    def both(x, kernel):
        (ours, our_pull), (theirs, their_pull) = jax.vjp(convolve, x, kernel), jax.vjp(xlas, x, kernel)
        return (ours, *our_pull(dy)), (theirs, *their_pull(dy))

    for a, b in zip(*both(x.astype(np.float32), kernel.astype(np.float32)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_gradients_of_inverse_and_determinant_are_autodiffs():
    matrices = RNG.normal(size=(3, 6, 6)).astype(np.float32) + 3 * np.eye(6, dtype=np.float32)
    weights = RNG.normal(size=(3, 6, 6)).astype(np.float32)
    ours = jax.grad(lambda m: jnp.sum(weights * invertible_conv.inverse(m)))(matrices)
    np.testing.assert_allclose(ours, jax.grad(lambda m: jnp.sum(weights * jnp.linalg.inv(m)))(matrices), atol=1e-4)
    ours = jax.grad(lambda m: invertible_conv.log_abs_determinant(m) @ jnp.arange(1.0, 4.0))(matrices)
    theirs = jax.grad(lambda m: jnp.linalg.slogdet(m)[1] @ jnp.arange(1.0, 4.0))(matrices)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
