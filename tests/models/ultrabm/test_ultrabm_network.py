"""UltraBM as a whole: counts, sizes, options, ablations. Networks are only traced where values do not matter."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
from ultrabm_jax.layers.padding import reflect_to_multiple
from ultrabm_jax.models import MODELS, create_model
from ultrabm_jax.models.ultrabm.network import CHOICES, COMPAT, UltraBM

KEY = jax.random.key(0)
SMALL = {"variant": "small", "semantic": "none"}
RELEASED = {"compat": "ultrais", "semantic": "hrnet_w48"}
UNREGISTERED = ("stage1_", "stage3_")  # prefixes of RSMU's layers that the released code does not register


def count_ultrabm(variables):
    """Trained parameters plus those of the frozen extractor, without batch statistics."""
    frozen = variables.get("frozen", {}).get("semantic", {}).get("params", {})
    return count_parameters(variables["params"]) + count_parameters(frozen)


def count_as_published(variables):
    """The count of Table 3, which leaves out the layers that the release never registers."""
    rsmu = variables["params"].get("rsmu", {})
    unregistered = {name: tree for name, tree in rsmu.items() if name.startswith(UNREGISTERED)}
    return count_ultrabm(variables) - count_parameters(unregistered)


@functools.cache
def shapes(**options):
    model = create_model("ultrabm", **options)
    return jax.eval_shape(model.init, KEY, jnp.zeros((1, 16, 16, 3)))


def output_shapes(height, width, **options):
    model = create_model("ultrabm", **(SMALL | options))
    low = jnp.zeros((2, height, width, 3))
    return jax.eval_shape(lambda: model.apply(model.init(KEY, low), low))


@pytest.mark.parametrize(("scale", "authors", "everything"), [(2, 69_549_495, 69_623_223), (4, 69_687_799, 69_908_983)])
def test_golden_counts_of_the_release(scale, authors, everything):
    variables = shapes(scale=scale, **RELEASED)
    assert count_as_published(variables) == authors
    assert count_ultrabm(variables) == everything
    assert count_parameters(variables["params"]) == everything - 65_888_219  # the rest is HRNet-W48


@pytest.mark.parametrize(("scale", "everything"), [(2, 69_733_815), (4, 70_240_759)])
def test_golden_counts_of_the_paper(scale, everything):
    """Pixel shuffle instead of bilinear up-sampling in step 1 of RSMU."""
    assert count_ultrabm(shapes(scale=scale, **(RELEASED | {"compat": "paper"}))) == everything


@pytest.mark.parametrize(("scale", "everything"), [(2, 69_976_173), (4, 70_013_037)])
def test_golden_counts_as_printed(scale, everything):
    """The preset "paper"; Table 3 has 69.561 and 69.687 M, which the released network has, without its idle layers."""
    variables = shapes(scale=scale, preset="paper")
    assert count_ultrabm(variables) == everything
    imu1 = variables["params"]["reflection"]["imu1"]
    assert count_parameters(imu1) == 90_358 - 64 * 64 * 9 + 64 * 9 - 1  # one head, depthwise
    assert create_model("ultrabm", scale=scale, preset="ultrais") == create_model("ultrabm", scale=scale, **RELEASED)


@pytest.mark.parametrize(("preset", "giga"), [("paper", 79.525), ("ultrais", 30.290)])
def test_golden_operation_counts_at_128(preset, giga):
    """Table 3 has 31.497 G at x2: of the release, with HRNet-W48 and without RSMU's idle convolutions."""
    model = create_model("ultrabm", preset=preset)
    found = count_convolution_macs(model, jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)) / 1e9
    assert found == pytest.approx(giga, abs=1e-3)
    if preset == "ultrais":
        hrnet, idle = 5.869, 2 * 9 * 64 * 64 * 256**2 / 1e9
        assert found + hrnet - idle == pytest.approx(31.497, rel=6e-3)


def test_golden_counts_of_the_shipped_networks():
    vgg16 = {"semantic": "vgg16"}
    assert count_parameters(shapes(**vgg16)["params"]) == 3_885_788
    assert count_parameters(shapes(variant="small", **vgg16)["params"]) == 270_076
    assert count_parameters(shapes(**SMALL)["params"]) == 214_174


def test_golden_counts_of_the_parts():
    params = shapes(**RELEASED)["params"]
    assert count_parameters(params["illumination"]) == 1_223_040
    assert count_parameters(params["reflection"]) == 2_176_796
    assert count_parameters(params["reflection"]["imu1"]) == 90_358
    smu = [count_parameters(params["reflection"][f"smu{k}"]) for k in range(1, 6)]
    assert smu == [114_998, 102_710, 96_566, 93_494, 94_198]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 16), (17, 33), (600, 901)])
def test_output_is_exactly_scale_times_the_input(size, scale):
    out = output_shapes(*size, scale=scale)
    assert out["restored"].shape == (2, scale * size[0], scale * size[1], 3)
    for name in ("illumination", "reflection", "reflection_unclipped", "guidance"):
        assert out[name].shape[:3] == (2, *size)
    assert {leaf.dtype for leaf in out.values()} == {jnp.dtype("float32")}


@pytest.fixture(scope="module")
def small(random_variables):
    model = create_model("ultrabm", **SMALL, isdm="none", upsampler="bilinear")
    return model, random_variables(model, jnp.zeros((1, 16, 16, 3))), jax.jit(model.apply)


@pytest.mark.parametrize("size", [(1, 1), (17, 5)])
def test_odd_sizes_run_and_are_finite(small, size):
    _, variables, apply = small
    low = jax.random.uniform(KEY, (1, *size, 3))
    assert bool(jnp.isfinite(apply(variables, low)["restored"]).all())


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_black_and_white_images_are_finite(small, level):
    _, variables, apply = small
    out = apply(variables, jnp.full((2, 16, 16, 3), level))
    assert all(bool(jnp.isfinite(value).all()) for value in out.values())


def test_reflection_is_the_retinex_quotient(small):
    _, variables, apply = small
    low = jax.random.uniform(KEY, (2, 16, 16, 3))
    out = apply(variables, low)
    np.testing.assert_allclose(out["reflection_unclipped"] * out["illumination"], low, rtol=1e-5)
    np.testing.assert_array_equal(out["reflection"], jnp.clip(out["reflection_unclipped"], 0, 1))


def test_examples_of_a_batch_are_independent(small):
    _, variables, apply = small
    both, others = (jax.random.uniform(jax.random.key(seed), (2, 16, 16, 3)) for seed in (0, 1))
    first, second = (apply(variables, low)["restored"] for low in (both, others.at[1].set(both[1])))
    np.testing.assert_allclose(first[1], second[1], atol=1e-6)
    assert float(jnp.abs(first[0] - second[0]).max()) > 1e-3


def test_padding_reflects_and_repeats_if_it_must():
    row = jnp.arange(3.0)[None, :, None, None]
    padded = reflect_to_multiple(row, 8)[0, :, 0, 0]
    np.testing.assert_array_equal(padded, [0, 1, 2, 1, 0, 1, 2, 1])
    np.testing.assert_array_equal(reflect_to_multiple(jnp.ones((1, 1, 1, 1)), 4), jnp.ones((1, 4, 4, 1)))


@pytest.mark.parametrize(
    ("option", "missing", "present"),
    [
        ({"stream": "one"}, ["illumination", "imu"], ["smu"]),
        ({"isdm": "none"}, ["imu", "smu"], ["illumination"]),
        ({"isdm": "no_smu"}, ["smu"], ["imu"]),
        ({"isdm": "no_imu"}, ["imu"], ["smu"]),
        ({"fsi": False}, ["fsi"], ["stage1_", "stage3_"]),
        ({"upsampler": "bilinear"}, ["rsmu"], ["upsampler"]),
        ({"semantic": "none"}, ["smu"], ["imu"]),
    ],
    ids=str,
)
def test_ablations_remove_exactly_their_part(option, missing, present):
    variables = shapes(**({"variant": "small", "semantic": "vgg16"} | option))
    leaves = jax.tree_util.tree_leaves_with_path(variables["params"])
    names = ["/" + jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]

    def has(part):
        return any(f"/{part}" in name for name in names)

    assert not any(map(has, missing))
    assert all(map(has, present))
    assert ("frozen" in variables) == has("smu")


def test_second_stream_input_switch_changes_the_result(small):
    model, variables, apply = small
    low = jax.random.uniform(KEY, (2, 16, 16, 3))
    v = apply(variables, low)["restored"]
    x = jax.jit(model.clone(second_stream_input="x").apply)(variables, low)["restored"]
    assert float(jnp.abs(v - x).max()) > 1e-3


def test_compat_sets_fields_that_can_be_set_alone():
    paper, ultrais = (create_model("ultrabm", compat=compat) for compat in COMPAT)
    for field in COMPAT["paper"]:
        assert getattr(paper, field) != getattr(ultrais, field)
    assert create_model("ultrabm", compat="ultrais", gray_mode="luma").gray_mode == "luma"


def test_bfloat16_keeps_float32_parameters_and_outputs():
    model = create_model("ultrabm", **SMALL, dtype=jnp.bfloat16)
    low = jnp.zeros((1, 16, 16, 3))
    variables = jax.eval_shape(model.init, KEY, low)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert jax.eval_shape(model.apply, variables, low)["restored"].dtype == jnp.float32


def test_rematerialisation_changes_nothing(small):
    model, variables, apply = small
    low = jax.random.uniform(KEY, (2, 16, 16, 3))
    again = jax.jit(model.clone(remat=True).apply)(variables, low)["restored"]
    np.testing.assert_allclose(again, apply(variables, low)["restored"], atol=1e-6)


@pytest.mark.parametrize("option", sorted(CHOICES))
def test_unknown_values_list_the_known(option):
    with pytest.raises(UserError, match="known: "):
        create_model("ultrabm", **{option: "nonsense"})


def test_every_choice_is_a_field():
    assert set(CHOICES) < {field.name for field in dataclasses.fields(UltraBM)}


def test_unknown_names_list_the_known():
    with pytest.raises(UserError, match=r"unknown model: 'ultra'; known: .*ultrabm"):
        create_model("ultra")
    with pytest.raises(UserError, match=r"unknown option of ultrabm: 'width_'; known: .*width"):
        create_model("ultrabm", width_=3)
    with pytest.raises(UserError, match="unknown variant of ultrabm: 'huge'; known: base, small"):
        create_model("ultrabm", variant="huge")


def test_models_build_by_name():
    for name in MODELS:
        create_model(name)
