"""Depthwise convolution with its own gradient against XLA's grouped convolution, above and below the size limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.layers import depthwise_conv
from ultrabm_jax.layers.depthwise_conv import depthwise_convolve, shifted_products


def grouped(x, kernel):
    pad = (kernel.shape[0] // 2,) * 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (1, 1),
        (pad, pad),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def gradients(function, x, kernel):
    """Value and gradients with respect to x and the kernel of a sum that weights every output differently."""

    def loss(x, kernel):
        y = function(x, kernel)
        return jnp.sum(jnp.sin(y + jnp.arange(y.size).reshape(y.shape)))

    return jax.value_and_grad(loss, argnums=(0, 1))(x, kernel)


@pytest.mark.parametrize("pixels", [1, 10**9], ids=["columns", "autodiff"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("size", [(9, 8), (1, 7), (6, 6)])
def test_value_and_gradients_equal_xlas(monkeypatch, pixels, kernel, size):
    monkeypatch.setattr(depthwise_conv, "MIN_PIXELS", pixels)
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, *size, 6)), rng.normal(size=(kernel, kernel, 1, 6))
    x, weights = x.astype(np.float32), weights.astype(np.float32)
    both = jax.jit(lambda x, weights: [gradients(f, x, weights) for f in (depthwise_convolve, grouped)])
    ours, theirs = both(x, weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), ours, theirs)


def test_only_one_of_the_two_forms_is_compiled():
    x, kernel = jnp.zeros((1, 16, 16, 4)), jnp.zeros((3, 3, 1, 4))
    compiled = jax.jit(jax.grad(lambda k: depthwise_convolve(x, k).sum())).lower(kernel).compile()
    assert "conditional" not in compiled.as_text()


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_other_platforms_keep_the_program_of_autodiff(platform):
    """The program for an accelerator has no loop and no further arithmetic."""
    x, kernel = jnp.zeros((1, 16, 16, 4)), jnp.zeros((3, 3, 1, 4))

    def operations(function):
        def loss(x, k):
            return jnp.sin(function(x, k)).sum()

        lowered = jax.jit(jax.grad(loss, argnums=(0, 1))).trace(x, kernel).lower(lowering_platforms=(platform,))
        names = [word for word in lowered.as_text().split() if word.startswith("stablehlo.")]
        return {name: names.count(name) for name in sorted(set(names))}

    ours, theirs = operations(depthwise_convolve), operations(shifted_products)
    assert "stablehlo.while" not in ours
    for name in ("stablehlo.multiply", "stablehlo.reduce", "stablehlo.add"):
        assert ours.get(name, 0) <= theirs.get(name, 0), name
    # x is padded again for the gradient; XLA merges equal operations.
    assert ours["stablehlo.pad"] <= theirs["stablehlo.pad"] + 1


GRADIENT_ON_EIGHT = """
import jax, jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ultrabm_jax.layers.depthwise_conv import depthwise_convolve
mesh = Mesh(jax.devices(), ("devices",))
kernel = jax.ShapeDtypeStruct((3, 3, 1, 4), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec()))
for axes in (("devices",), (None, "devices")):
    x = jax.ShapeDtypeStruct((8, 32, 16, 4), jnp.float32, sharding=NamedSharding(mesh, PartitionSpec(*axes)))
    gradient = jax.grad(lambda k, x: jnp.sum(jnp.sin(depthwise_convolve(x, k))))
    print(jax.jit(gradient).lower(kernel, x).compile().as_text())
"""


def test_a_sharded_batch_or_height_stays_sharded(python):
    done = python("-c", GRADIENT_ON_EIGHT, devices=8)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "while(" in done.stdout
    assert "all-gather" not in done.stdout
    assert done.stdout.count(" all-reduce(") == 2


def test_bfloat16_keeps_its_type_and_sums_in_float32():
    x = jnp.full((1, 64, 64, 2), 1 + 2**-7, jnp.bfloat16)
    kernel = jnp.zeros((3, 3, 1, 2), jnp.bfloat16)
    slope = jax.jit(jax.grad(lambda k: depthwise_convolve(x, k).sum().astype(jnp.float32)))(kernel)
    assert slope.dtype == jnp.bfloat16
    assert float(slope[1, 1, 0, 0]) == pytest.approx(64 * 64 * (1 + 2**-7), rel=2**-8)
