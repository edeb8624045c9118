"""DRGN and LW-DRGN: parameter and operation counts, sizes, `degrade` and `refine`, options."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick_xla

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.complexity import count_convolution_macs, count_parameters
from ultrabm_jax.models import MODELS, create_model

KEY = jax.random.key(0)
TINY = {
    "drgn": {"width": 4, "groups": (1, 2), "depths": (2, 1), "reduction": 2},
    "lw_drgn": {"width": 4, "groups": 2, "depth": 1, "reduction": 2},
}
# Compiling well would take longer than all that is computed here.
QUICK = dict(quick_xla.OPTIONS)
if jax.__version_info__ < (0, 11):  # has no such option any more
    QUICK["xla_cpu_use_fusion_emitters"] = False
NO_MSR = {"groups": (2,), "depths": (5,)}
NO_DL_DA = {"dl_da": False, "groups": (4, 7, 9)}


def shapes(name, **options):
    return _shapes(name, tuple(options.items()))


@functools.cache
def _shapes(name, options):
    options = dict(options)
    return jax.eval_shape(create_model(name, **options).init, KEY, jnp.zeros((1, 16, 16, 3)))["params"]


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("drgn", {}, 4_773_208),  # the paper's 4.773 M
        ("lw_drgn", {}, 662_226),  # .660 M
        ("lw_drgn", {"variant": "pair"}, 664_006),
        ("drgn", NO_MSR, 1_509_584),
        ("drgn", NO_DL_DA, 4_838_768),
        ("drgn", {"variant": "small"}, 301_846),
    ],
    ids=str,
)
def test_golden_counts(name, options, count):
    assert count_parameters(shapes(name, **options)) == count


def test_each_generator_is_half():
    parts = {part: count_parameters(tree) for part, tree in shapes("drgn").items()}
    assert parts == {"deg": 2_386_604, "reg": 2_386_604}


def giga(name, **options):
    """Multiply-adds of all generators at 384x384; the two of a model are alike."""
    low = jax.ShapeDtypeStruct((1, 384, 384, 3), jnp.float32)
    return count_convolution_macs(create_model(name, **options), low) / 1e9


@pytest.mark.parametrize(
    ("name", "options", "paper", "exactly"),
    [
        ("drgn", {}, 2 * 110.59, 221.178),
        ("lw_drgn", {}, 2 * 18.15, 35.814),
        ("lw_drgn", {"variant": "pair"}, 18.15, 18.481),
        ("drgn", NO_MSR, 2 * 110.59, 220.868),  # "similar computational complexity"
        ("drgn", NO_DL_DA, 2 * 110.59, 218.626),
    ],
    ids=str,
)
def test_operation_counts_match_the_paper(name, options, paper, exactly):
    """The paper counts one generator, which for DRGN fits within 2e-5."""
    measured = giga(name, **options)
    assert measured == pytest.approx(exactly, rel=5e-5)
    assert measured == pytest.approx(paper, rel=0.02)


@pytest.fixture(scope="module", params=list(TINY))
def tiny(request, random_variables):
    """(model, variables, jitted apply)"""
    model = create_model(request.param, **TINY[request.param])
    variables = random_variables(model, jnp.zeros((1, 16, 16, 3)))
    return model, variables, jax.jit(model.apply, compiler_options=QUICK)


def images(*size, seed=0):
    """A batch of two; tests share one size so that it is compiled once."""
    return np.random.default_rng(seed).random((2, *(size or (12, 16)), 3), np.float32)


def test_base_is_input_minus_degradation(tiny):
    _, variables, apply = tiny
    low = images()
    out = apply(variables, low)
    np.testing.assert_array_equal(out["base"], low - np.asarray(out["degradation"]))
    assert np.abs(out["degradation"]).max() > 1e-3


def test_multiplicative_degradation(tiny):
    model, variables, _ = tiny
    model = model.clone(degradation="multiplicative")
    low = images()
    out = jax.jit(model.apply, compiler_options=QUICK)(variables, low)
    exposure = np.exp(np.asarray(out["degradation"]))
    np.testing.assert_allclose(out["base"], low / exposure, rtol=1e-5)
    np.testing.assert_allclose(model.form.apply(out["base"], out["degradation"]), low, rtol=1e-5, atol=1e-7)
    bright = np.abs(np.asarray(model.form.limit(jnp.array([-1e3, -0.01, 0.0, 1e3]))))
    np.testing.assert_allclose(bright, [np.log(255), 0.01, 0, np.log(255)], rtol=1e-5)
    at_limit = jnp.array([-1e3, -1e3, 1e3, 1e3])
    slopes = jax.grad(lambda x: (jnp.array([1.0, -1.0, 1.0, -1.0]) * model.form.limit(x)).sum())(at_limit)
    np.testing.assert_array_equal(slopes, [0, -1, 1, 0])  # a DeG at the limit can return


def test_exposure_is_one_value_for_an_image(tiny):
    model, variables, _ = tiny
    low = images()
    maps, means = (
        jax.jit(model.clone(degradation=form).apply, compiler_options=QUICK)(variables, low)
        for form in ("multiplicative", "exposure")
    )
    expected = np.broadcast_to(np.asarray(maps["degradation"]).mean((1, 2, 3), keepdims=True), low.shape)
    np.testing.assert_allclose(means["degradation"], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(means["base"], low / np.exp(expected), rtol=1e-4)


def test_without_removal_deg_has_parameters_but_restores_nothing(tiny):
    model, variables, _ = tiny
    model, low = model.clone(remove_degradation=False), images()
    out = jax.jit(model.apply, compiler_options=QUICK)(variables, low)
    assert set(out) == {"restored"}
    reg = {"params": {"reg": variables["params"]["reg"]}}
    np.testing.assert_allclose(out["restored"], model.apply(reg, low, method="refine"), atol=1e-5)
    shapes = jax.eval_shape(model.init, KEY, low)["params"]
    assert jax.tree.structure(shapes) == jax.tree.structure(variables["params"])


def test_degrade_then_refine_equals_the_network(tiny):
    model, variables, apply = tiny
    low, whole = images(), apply(variables, images())
    deg, reg = ({"params": {part: variables["params"][part]}} for part in ("deg", "reg"))

    def by_steps(x):
        degradation = model.apply(deg, x, method="degrade")
        return degradation, model.apply(reg, x - degradation, method="refine")

    degradation, restored = jax.jit(by_steps, compiler_options=QUICK)(low)
    np.testing.assert_allclose(degradation, whole["degradation"], atol=1e-6)
    np.testing.assert_allclose(restored, whole["restored"], atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (13, 16), (16, 17)])
def test_any_size(tiny, size):
    model, variables, _ = tiny
    out = jax.eval_shape(model.apply, variables, jnp.zeros((2, *size, 3)))
    assert {value.shape for value in out.values()} == {(2, *size, 3)}
    assert {value.dtype for value in out.values()} == {jnp.dtype("float32")}


def test_odd_sizes_are_reflected_and_cropped(tiny):
    _, variables, apply = tiny
    low = images(11, 15)
    padded = np.pad(low, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="reflect")  # both need multiples of 2
    degradation = apply(variables, low)["degradation"]
    np.testing.assert_allclose(degradation, apply(variables, padded)["degradation"][:, :11, :15], atol=1e-6)


def test_examples_of_a_batch_are_independent(tiny):
    _, variables, apply = tiny
    both, others = images(), images(seed=1)
    others[1] = both[1]
    first, second = (apply(variables, low)["restored"] for low in (both, others))
    np.testing.assert_allclose(first[1], second[1], atol=1e-6)
    assert np.abs(first[0] - second[0]).max() > 1e-3


@pytest.mark.parametrize("name", list(TINY))
def test_last_convolution_of_deg_starts_small(name):
    """This makes the initial I_D small. `init` is not compiled, which would take longer than all other tests."""
    inits = {}

    def note(call, args, kwargs, context):
        if context.module.name == "last":
            inits[context.module.path[0]] = context.module.kernel_init
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        shapes(name, **TINY[name])
    kernels = {part: init(KEY, (3, 3, 4, 3), jnp.float32) for part, init in inits.items()}
    np.testing.assert_allclose(kernels["deg"], 0.1 * kernels["reg"], rtol=1e-6)
    assert np.abs(kernels["reg"]).max() > 0.1


def test_without_degradation_learning_one_network_restores():
    model, low = create_model("drgn", **TINY["drgn"], dl_da=False), jnp.zeros((1, 8, 8, 3))
    variables = jax.eval_shape(model.init, KEY, low)
    assert set(variables["params"]) == {"reg"}
    assert set(jax.eval_shape(model.apply, variables, low)) == {"restored"}


@pytest.mark.parametrize("tiny", ["drgn"], indirect=True)
@pytest.mark.parametrize("options", [{"pyramid": "box"}, {"group_skip": False}], ids=str)
def test_switches_without_parameters_change_the_result(tiny, options):
    model, variables, apply = tiny
    low = images()
    ours = apply(variables, low)["restored"]
    switched = jax.jit(model.clone(**options).apply, compiler_options=QUICK)(variables, low)["restored"]
    assert float(jnp.abs(ours - switched).max()) > 1e-3 * float(jnp.abs(ours).max())


def test_rematerialisation_changes_no_gradient(tiny):
    model, variables, _ = tiny

    def loss(params, remat):
        return jnp.mean(jnp.square(model.clone(remat=remat).apply({"params": params}, images())["restored"]))

    grad = jax.jit(jax.grad(loss), static_argnums=1, compiler_options=QUICK)
    plain, again = (grad(variables["params"], remat) for remat in (False, True))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * float(jnp.abs(a).max())), plain, again)


@pytest.mark.parametrize("name", list(TINY))
def test_bfloat16_keeps_float32_parameters_and_outputs(name):
    model = create_model(name, **TINY[name], dtype=jnp.bfloat16)
    low = jnp.zeros((1, 8, 8, 3))
    variables = jax.eval_shape(model.init, KEY, low)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert {x.dtype for x in jax.eval_shape(model.apply, variables, low).values()} == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", list(TINY))
def test_every_choice_and_preset_is_a_field(name):
    entry = MODELS[name]
    fields = {field.name for field in dataclasses.fields(entry.module)}
    assert set(entry.choices) < fields
    assert all(set(preset) < fields for preset in entry.presets["variant"].values())
    for option in entry.choices:
        with pytest.raises(UserError, match="known: "):
            create_model(name, **{option: "nonsense"})
