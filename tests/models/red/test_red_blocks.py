"""RED's layers against slow definitions: shuffles, convolutions, weight normalisation, RDB*, X-Trans packing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sid_packing import pack_by_slices

from ultrabm_jax.layers.grouped_conv import channel_shuffle, grouped_convolve
from ultrabm_jax.layers.pixel_shuffle import pixel_shuffle
from ultrabm_jax.models.red.dense_block import DenseBlock
from ultrabm_jax.models.red.icnr import icnr
from ultrabm_jax.models.red.network import RED
from ultrabm_jax.models.red.weight_norm import WeightNormConv, fold_weight_norm, kernel_norm

KEY = jax.random.key(0)


def normal(*shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def test_channel_shuffle_interleaves():
    np.testing.assert_array_equal(channel_shuffle(jnp.arange(6.0), 2), [0, 3, 1, 4, 2, 5])
    np.testing.assert_array_equal(channel_shuffle(jnp.arange(6.0), 3), [0, 2, 4, 1, 3, 5])


@pytest.mark.parametrize(
    ("channels", "features", "groups", "size", "interleave"),
    [(4, 6, 1, 5, 1), (256, 32, 32, 3, 1), (18, 9, 9, 3, 1), (12, 48, 3, 1, 1), (64, 32, 4, 3, 2)],
)
def test_grouped_convolution_equals_xla(channels, features, groups, size, interleave):
    @jax.jit
    def both(x, kernel):
        pad = ((size // 2,) * 2,) * 2
        numbers = ("NHWC", "HWIO", "NHWC")
        shuffled = channel_shuffle(x, interleave)
        xlas = jax.lax.conv_general_dilated(
            shuffled, kernel, (1, 1), pad, dimension_numbers=numbers, feature_group_count=groups
        )
        return grouped_convolve(x, kernel, groups=groups, interleave=interleave), xlas

    rng = np.random.default_rng(0)
    ours, xlas = both(rng.normal(size=(2, 5, 7, channels)), rng.normal(size=(size, size, channels // groups, features)))
    np.testing.assert_allclose(ours, xlas, atol=1e-4)


@pytest.fixture(scope="module")
def conv():
    module = WeightNormConv(6, groups=2, slope=0.2)
    x = normal(1, 5, 4, 8)
    return module, jax.jit(module.init)(KEY, x), x


def test_initial_kernel_is_v(conv):
    module, variables, x = conv
    params = variables["params"]
    np.testing.assert_allclose(params["gain"], np.sqrt((np.asarray(params["kernel"]) ** 2).sum((0, 1, 2))), rtol=1e-6)
    plain = grouped_convolve(x, params["kernel"], groups=2) + params["bias"]
    np.testing.assert_allclose(module.apply(variables, x), plain, atol=1e-5)


def test_output_is_invariant_to_the_norm_of_v_and_scales_with_the_gain(conv):
    module, variables, x = conv
    params = variables["params"]
    longer = {**params, "kernel": 7 * params["kernel"]}
    np.testing.assert_allclose(module.apply({"params": longer}, x), module.apply(variables, x), atol=1e-5)
    louder = {**params, "gain": 3 * params["gain"]}
    change = module.apply({"params": louder}, x) - params["bias"]
    np.testing.assert_allclose(change, 3 * (module.apply(variables, x) - params["bias"]), rtol=1e-3, atol=1e-5)


def test_gradients_of_v_are_orthogonal_to_it(conv):
    """Salimans and Kingma, equation 3."""
    module, variables, x = conv
    grads = jax.grad(lambda v: jnp.sum(jnp.sin(module.apply(v, x))))(variables)["params"]
    inner = jnp.sum(grads["kernel"] * variables["params"]["kernel"], axis=(0, 1, 2))
    scale = kernel_norm(grads["kernel"]) * kernel_norm(variables["params"]["kernel"])
    assert float(jnp.abs(inner / scale).max()) < 1e-5


def test_folding_removes_only_the_gains(conv):
    module, variables, x = conv
    folded = fold_weight_norm({"a": variables["params"], "b": {"bias": 1}})
    assert set(folded["a"]) == {"kernel", "bias"}
    assert folded["b"] == {"bias": 1}
    assert fold_weight_norm(folded) == folded
    again = module.clone(weight_norm=False).apply({"params": folded["a"]}, x)
    np.testing.assert_allclose(again, module.apply(variables, x), atol=1e-5)


@pytest.mark.parametrize(("slope", "gain"), [(1.0, 1.0), (0.2, np.sqrt(2 / 1.04))])
def test_kaiming_initialisation_uses_the_fan_in_of_a_group(slope, gain):
    params = jax.jit(WeightNormConv(256, groups=4, slope=slope).init)(KEY, normal(1, 4, 4, 64))["params"]
    assert float(params["kernel"].std()) == pytest.approx(gain / np.sqrt(9 * 16), rel=0.01)
    assert float(jnp.abs(params["bias"]).max()) <= 1 / np.sqrt(9 * 16)


def test_icnr_repeats_the_channels_of_a_cell():
    values = icnr(jax.nn.initializers.normal(), 2)(KEY, (3, 8))
    np.testing.assert_array_equal(values, jnp.repeat(values[:, ::4], 4, axis=-1))
    assert len(np.unique(values)) == 6
    y, _ = jax.jit(WeightNormConv(12, cell=2).init_with_output)(KEY, normal(1, 3, 3, 4))
    cells = np.asarray(pixel_shuffle(y, 2)).reshape(3, 2, 3, 2, 3)
    np.testing.assert_allclose(cells, cells[:, :1, :, :1] * np.ones_like(cells), atol=1e-6)


@pytest.mark.parametrize("canonical", [False, True])
@pytest.mark.parametrize("last_slope", [0.2, 1.0])
def test_dense_block_equals_its_definition(random_variables, canonical, last_slope):
    x = normal(1, 4, 5, 64)
    block = DenseBlock(
        functools.partial(WeightNormConv, weight_norm=False), 3, last_slope=last_slope, canonical=canonical
    )
    params = random_variables(block, x)["params"]

    def rectify(x, slope=0.2):
        return jnp.where(x > 0, x, slope * x)

    features = [x]
    for j in (1, 2, 3):
        kernel, everything = params[f"layer{j}"]["kernel"], jnp.concatenate(features, axis=-1)
        if canonical:
            features.append(rectify(grouped_convolve(everything, kernel)))
        else:
            slope = 1.0 if j == 1 else last_slope if j == 3 else 0.2
            features.append(grouped_convolve(rectify(everything, slope), kernel))
    expected = grouped_convolve(jnp.concatenate(features, axis=-1), params["fuse"]["kernel"]) + x
    np.testing.assert_allclose(jax.jit(block.apply)({"params": params}, x), expected, atol=1e-4)


def test_xtrans_planes_equal_sids_packing():
    mosaic = np.arange(2 * 12 * 18, dtype=np.float32).reshape(2, 12, 18)
    model = RED(xtrans="pack9")
    packed = np.asarray(jax.jit(lambda x: model.apply({}, x, method="_planes"))(mosaic[..., None]))
    np.testing.assert_array_equal(packed, pack_by_slices(mosaic))
    assert len(np.unique(packed)) == mosaic.size
