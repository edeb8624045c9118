"""RED as a whole: counts, operations, sizes, options, gradients."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.by_platform import traced_for
from ultrabm_jax.layers.canvas import Canvas, use_canvas
from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
from ultrabm_jax.models import create_model
from ultrabm_jax.models.red.network import CHOICES, RED, VARIANTS, pad_mosaic
from ultrabm_jax.models.red.weight_norm import WeightNormConv, fold_weight_norm

KEY = jax.random.key(0)


def shapes(**options):
    model = create_model("red", **options)
    return jax.eval_shape(model.init, KEY, jnp.zeros((1, model.multiple, model.multiple, 1)))


def mosaic(*size, seed=0):
    return np.random.default_rng(seed).uniform(0, 1.5, (1, *size, 1)).astype(np.float32)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 784_768),
        ({"weight_norm": False}, 783_432),
        ({"variant": "paper"}, 843_296),
        ({"variant": "paper", "weight_norm": False}, 841_928),
        ({"preset": "paper"}, 769_312),
        ({"preset": "paper", "weight_norm": False}, 768_072),
        ({"preset": "code"}, 784_768),
        ({"rdb": "canonical"}, 784_768),
        ({"hse_reduction": "one", "weight_norm": False}, 709_576),  # 9 * 1024 + 64 in place of two convolutions
    ],
    ids=str,
)  # fmt: skip
def test_golden_counts(options, count):
    assert count_parameters(shapes(**options)) == count


def test_golden_counts_of_the_parts():
    """Table of design notes on the released network: the blocks with their gains."""
    counts = {name: count_parameters(tree) for name, tree in shapes()["params"].items()}
    assert counts["mse_conv1"] + counts["mse_conv2"] == 73_984
    assert counts["lse_conv"] == 1_224
    assert counts["fb2_conv"] == 7_224


@pytest.mark.parametrize(
    ("size", "giga", "options"),
    [
        ((512, 512), 1.288, {}),
        ((2848, 4256), 59.58, {}),
        ((2848, 4256), 63.7, {"variant": "paper"}),
        ((2848, 4256), 62.87, {"preset": "paper"}),
    ],
)
def test_operation_counts_match_the_paper(size, giga, options):
    """Table 1 has 59.8 G for a Bayer image; with the paper's own kernel sizes and layers it would be 62.9."""
    low = jax.ShapeDtypeStruct((1, *size, 1), jnp.float32)
    assert count_convolution_macs(create_model("red", **options), low) / 1e9 == pytest.approx(giga, rel=1e-3)


@pytest.mark.parametrize("options", [{}, {"variant": "paper"}, {"xtrans": "pack9"}], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (31, 32), (33, 64), (47, 97), (2848, 4256)])
def test_output_has_exactly_the_size_of_the_input(options, size):
    model = create_model("red", **options)
    low = jnp.zeros((2, *size, 1))
    out = jax.eval_shape(lambda x: model.init_with_output(KEY, x)[0], low)
    assert out["restored"].shape == (2, *size, 3)
    assert out["restored"].dtype == jnp.float32


@pytest.fixture(scope="module")
def tiny(random_variables):
    """One layer for each RDB*: compiles fast. (model, variables, jitted apply)"""
    model = create_model("red", dense_layers=(1, 1, 1))
    return model, random_variables(model, jnp.zeros((1, 32, 32, 1))), jax.jit(model.apply)


@pytest.mark.parametrize("level", [0.0, 1.0, 300.0])
def test_flat_mosaics_are_finite_and_bounded(tiny, level):
    _, variables, apply = tiny
    restored = np.asarray(apply(variables, jnp.full((1, 32, 32, 1), level))["restored"])
    assert np.isfinite(restored).all()
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_odd_sizes_are_padded_and_cropped(tiny):
    _, variables, apply = tiny
    low = mosaic(45, 33)
    padded = pad_mosaic(low, 32, period=2)
    assert padded.shape == (1, 64, 64, 1)
    np.testing.assert_allclose(
        apply(variables, low)["restored"], apply(variables, padded)["restored"][:, :45, :33], atol=1e-6
    )


@pytest.mark.parametrize(("period", "size"), [(2, (5, 4)), (2, (33, 31)), (6, (6, 7)), (6, (49, 47))])
def test_padding_keeps_the_phase_of_the_filter_array(period, size):
    rows, columns = np.indices(size)
    phase = (rows % period) * period + columns % period
    padded = np.asarray(pad_mosaic(jnp.asarray(phase)[None, ..., None], 48, period=period))[0, ..., 0]
    rows, columns = np.indices(padded.shape)
    np.testing.assert_array_equal(padded, (rows % period) * period + columns % period)


def test_examples_of_a_batch_are_independent(tiny):
    _, variables, apply = tiny
    both = np.concatenate([mosaic(32, 32), mosaic(32, 32, seed=1)])
    restored = apply(variables, both)["restored"]
    np.testing.assert_allclose(restored[1:], apply(variables, both[1:])["restored"], atol=1e-5)


def test_blocks_applied_one_by_one_equal_the_network(tiny):
    model, variables, apply = tiny
    low = mosaic(64, 32)
    block = {name: jax.jit(lambda *a, name=name: model.apply(variables, *a, method=name)) for name in
             ("lse", "mse", "hse", "fb1", "fb2")}  # fmt: skip
    restored = block["fb2"](block["lse"](low), block["fb1"](block["mse"](low), block["hse"](low)))
    np.testing.assert_allclose(jnp.clip(restored, 0, 1), apply(variables, low)["restored"], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"variant": "paper"}, {"xtrans": "pack9"}], ids=str)
@pytest.mark.parametrize("form", ["by_large_cells", "by_small_cells"])
def test_forms_for_tpus_and_cpus_equal_the_blocks(form, options, random_variables):
    """Also its gradients; borders are those of the padded image."""
    model = create_model("red", dense_layers=(1, 1, 1), **{"last_slope": 1.0, **options})
    low = mosaic(2 * model.multiple, model.multiple)
    params = random_variables(model, low)["params"]

    @functools.partial(jax.jit, static_argnames="form")
    def image_and_gradient(params, form):
        def energy(params):
            image = model.apply({"params": params}, low, method=form)
            return (image**2).mean(), image

        return jax.grad(energy, has_aux=True)(params)

    cells, blocks = (image_and_gradient(params, form) for form in (form, "by_blocks"))
    for a, b in zip(jax.tree.leaves(cells), jax.tree.leaves(blocks), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("platform", ["tpu", "cpu", "gpu"])
def test_every_form_reproduces_the_border_of_an_image_on_a_canvas(platform, tiny):
    model, variables, apply = tiny
    low = mosaic(20, 30)

    @jax.jit
    def on_canvas(x, size):
        with use_canvas(Canvas(size, (96, 64), model.multiple)), traced_for(platform):
            return model.apply(variables, x)["restored"]

    canvas = np.pad(low, ((0, 0), (0, 12), (0, 2), (0, 0)), mode="reflect")
    canvas = np.pad(canvas, ((0, 0), (0, 64), (0, 32), (0, 0)), constant_values=1.0)
    restored = on_canvas(canvas, np.array([20, 30]))[:, :20, :30]
    np.testing.assert_allclose(restored, apply(variables, low)["restored"], atol=1e-5)


def test_folded_weights_restore_the_same_image(tiny):
    model, variables, apply = tiny
    folded = {"params": fold_weight_norm(variables["params"])}
    low = mosaic(32, 32)
    again = jax.jit(model.clone(weight_norm=False).apply)(folded, low)["restored"]
    np.testing.assert_allclose(again, apply(variables, low)["restored"], atol=1e-5)


def test_clip_in_train_controls_gradients_outside_the_range(tiny):
    model, variables, _ = tiny
    low = mosaic(32, 32)

    def gradient(model, train):
        def total(b):
            params = {**variables["params"], "fb2_conv": {**variables["params"]["fb2_conv"], "bias": b}}
            return model.apply({"params": params}, low, train=train)["restored"].sum()

        return np.abs(jax.jit(jax.grad(total))(np.full(12, 1e4, np.float32))).max()  # everything saturates

    open_model = model.clone(clip_in_train=False)
    assert gradient(model, train=True) == 0
    assert gradient(open_model, train=True) > 0
    assert gradient(open_model, train=False) == 0


def test_icnr_applies_to_every_convolution_before_a_shuffle():
    cells = {}

    def note(call, args, kwargs, context):
        if isinstance(context.module, WeightNormConv) and context.module.cell > 1:
            cells[context.module.name] = context.module.cell
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        shapes()
        assert cells == {}
        shapes(icnr=True)
    assert cells == {"hse_reduce": 4, "hse_fuse": 4, "fb1_conv": 4, "fb2_conv": 2}


@pytest.mark.parametrize(
    "options",
    [{"last_slope": 0.2}, {"rdb": "canonical"}, {"hse_shuffle": True}],
    ids=str,
)
def test_switches_without_parameters_change_the_result(random_variables, options):
    model = create_model("red", dense_layers=(2,), weight_norm=False)
    low = mosaic(32, 32)
    variables = random_variables(model, low)
    h, switched = (jax.jit(lambda v, x, m=m: m.apply(v, x, method="hse"))(variables, low)
                   for m in (model, model.clone(**options)))  # fmt: skip
    assert float(jnp.abs(h - switched).max()) > 1e-3 * float(jnp.abs(h).max())


def test_bfloat16_keeps_float32_parameters_and_outputs():
    model = create_model("red", dtype=jnp.bfloat16)
    variables = shapes(dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert jax.eval_shape(model.apply, variables, jnp.zeros((1, 32, 32, 1)))["restored"].dtype == jnp.float32


def test_every_choice_and_preset_is_a_field():
    fields = {field.name for field in dataclasses.fields(RED)}
    assert set(CHOICES) < fields
    assert all(set(preset) < fields for preset in VARIANTS.values())
    for option in CHOICES:
        with pytest.raises(UserError, match="known: "):
            create_model("red", **{option: "nonsense"})


def test_the_default_is_the_released_network():
    assert create_model("red") == RED() == create_model("red", variant="code")
