"""LoLiSRFlow: parameter counts, both directions at any size, inputs, temperature. Small random networks."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.image.equalisation import equalise
from ultrabm_jax.layers.colour_ratio import colour_ratio, noise_map
from ultrabm_jax.layers.complexity import count_parameters
from ultrabm_jax.layers.input_maps import equalise as equalise_whole
from ultrabm_jax.models import create_model
from ultrabm_jax.models.lolisrflow.flow.conditional_flow import ConditionalFlow, arrange
from ultrabm_jax.models.lolisrflow.network import CHOICES, LoLiSRFlow

KEY = jax.random.key(0)
TEMPERATURES = (0, 0, 0.1, 0.3, 0.7)
TINY = {"width": 4, "hidden": 4, "steps": 2, "stages": 1, "blocks": 1}


@functools.cache
def shapes(**options):
    model = create_model("lolisrflow", **options)
    return jax.eval_shape(model.init, KEY, jnp.zeros((1, 8, 8, 3)))["params"]


@pytest.mark.parametrize(
    ("options", "flow", "conditioner"),
    [
        ({}, 9_639_504, 1_308_181),
        ({"scale": 4}, 9_639_504, 1_603_605),
        ({"split": True}, 5_053_728, 1_308_181),
        ({"split": True, "prior": "zero"}, 5_053_728, 1_308_181 - 149_443),  # no colour ratio head
        ({"preset": "paper"}, 5_053_728, 1_308_181),
        ({"preset": "paper", "scale": 4}, 5_053_728, 1_603_605),
    ],
    ids=str,
)
def test_golden_counts(options, flow, conditioner):
    params = shapes(**options)
    assert count_parameters(params["flow"]) == flow
    assert count_parameters(params["conditioner"]) == conditioner


def test_golden_counts_of_the_levels_and_of_a_transformer_block():
    flow, encoder = shapes()["flow"], shapes()["conditioner"]["encoder"]
    levels = [[count_parameters(flow[f"level{k}_{part}"]) for part in ("transition", "step")] for k in (1, 2, 3)]
    assert [sum(level) for level in levels] == [1_282_704, 2_187_456, 6_169_344]
    assert count_parameters(encoder["stage1_branch0_block1"]) == 54_069
    assert count_parameters(shapes(variant="small")) == 1_153_353


def pair(height, width, scale):
    y = np.random.default_rng(0).uniform(size=(2, scale * height, scale * width, 3)).astype(np.float32)
    return 0.2 * y[:, ::scale, ::scale], y


@pytest.fixture(scope="module")
def random_model(flow_variables):
    """`random_model(**options)` -> (model, variables)."""

    @functools.cache
    def make(**options):
        model = create_model("lolisrflow", **(TINY | options))
        return model, flow_variables(model, jnp.zeros((1, 8, 8, 3)))

    return make


@dataclasses.dataclass
class Case:
    """The results of one compiled program for one size."""

    y: np.ndarray
    encoded: dict
    mean: np.ndarray  # of the latent, as an image
    decoded: np.ndarray  # of z
    samples: np.ndarray  # at `TEMPERATURES`, one noise


@pytest.fixture(scope="module")
def case(random_model):
    @functools.cache
    def run(height, width, scale):
        model, variables = random_model(scale=scale)
        low, y = pair(height, width, scale)
        # As E might give it. Compiling E would take longer than all the rest; its own numbers: tests/methods.
        rng, of = np.random.default_rng(1), functools.partial(model.apply, method="condition")
        condition = jax.tree.map(
            lambda x: rng.normal(size=x.shape).astype(np.float32), jax.eval_shape(of, variables, low)
        )
        noise = rng.normal(size=y.shape).astype(np.float32)

        @jax.jit
        def everything(variables, condition, y, noise):
            encoded = model.apply(variables, y, low, condition=condition, method="encode")
            latents = [model.apply(variables, condition, t * noise, method="latent") for t in TEMPERATURES]
            restored = jax.lax.map(
                lambda z: model.apply(variables, z, low, condition=condition, method="decode")["restored"],
                jnp.stack([encoded["z"], *latents]),
            )
            return encoded, restored[0], restored[1:]

        encoded, decoded, samples = everything(variables, condition, y, noise)
        return Case(y, encoded, condition.mean, decoded, samples)

    return run


@pytest.mark.parametrize(("height", "width", "scale"), [(8, 12, 2), (5, 7, 4)])
def test_decode_is_the_inverse_of_encode_at_any_size(height, width, scale, case):
    """At other numbers of levels: tests/models/lolisrflow/flow."""
    found = case(height, width, scale)
    assert np.abs(found.decoded - found.y).max() <= 1e-4
    sides = [-(-side // 4) * 4 * scale // 8 for side in (height, width)]
    assert found.encoded["z"].shape == (2, *sides, 192)


def test_temperature_zero_is_one_image_and_samples_spread_with_temperature(case):
    first, second, *samples = case(8, 12, 2).samples
    np.testing.assert_array_equal(first, second)
    apart = [np.square(sample - first).mean() for sample in samples]
    assert 0 < apart[0] < apart[1] < apart[2]
    assert apart[2] > 4 * apart[0]


@pytest.mark.parametrize("size", [(78, 156), (157, 1)])
def test_output_is_exactly_scale_times_the_input(size, random_model):
    model, variables = random_model(scale=2)
    out = jax.eval_shape(model.apply, variables, jnp.zeros((1, *size, 3)))
    assert {out[name].shape for name in ("restored", "colour_ratio")} == {(1, 2 * size[0], 2 * size[1], 3)}


def test_likelihood_equals_its_formula(case):
    found = case(8, 12, 2)
    ratio = np.asarray(found.mean, np.float64)
    # Rows 8 Y + 4 p + 2 q + r and columns alike: the lowest bits are the first to become channels, c r r' q q' p p'.
    bits = ratio.reshape(2, 2, 2, 2, 2, 3, 2, 2, 2, 3)  # b, Y, p, q, r, X, p', q', r', c
    mean = bits.transpose(0, 1, 5, 9, 4, 8, 3, 7, 2, 6).reshape(2, 2, 3, 192)
    z, logdet = (np.asarray(found.encoded[name], np.float64) for name in ("z", "logdet"))
    log_density = -0.5 * np.sum((z - mean) ** 2 + np.log(2 * np.pi), axis=(1, 2, 3)) + logdet
    np.testing.assert_allclose(found.encoded["nll"], -log_density / (np.log(2) * 16 * 24), rtol=1e-4)
    parts = sum(np.asarray(part).sum(axis=0) for part in found.encoded["logdets"].values())
    np.testing.assert_allclose(parts, logdet, rtol=1e-5)


def test_tile_uses_the_equalisation_of_its_image(random_model):
    model, variables = random_model(scale=2)
    rng = np.random.default_rng(0)
    low8 = np.concatenate([rng.integers(0, top, (1, 8, 8, 3), np.uint8) for top in (20, 90)], axis=2)
    low, equalised = low8.astype(np.float32) / 255, equalise(low8[0])[None].astype(np.float32) / 255
    made, recorded = model.apply(variables, low, method=equalise_whole, mutable=["statistics"])
    np.testing.assert_allclose(made, equalised, atol=1e-6)
    tile = low[:, :, :8]
    np.testing.assert_allclose(model.apply(recorded, tile, method=equalise_whole), equalised[:, :, :8], atol=1e-6)
    assert np.abs(model.apply(variables, tile, method=equalise_whole) - equalised[:, :, :8]).max() > 0.1


@pytest.mark.parametrize("given", [False, True])
def test_given_equalised_image_is_used(given, random_model):
    model, variables = random_model(scale=2)
    low = jnp.zeros((1, 8, 8, 3))
    apply = functools.partial(model.apply, mutable=["statistics"], method="condition")
    _, recorded = jax.eval_shape(lambda: apply(variables, low, equalised=low if given else None))
    assert ("equalisation" in recorded["statistics"]) != given


def test_colour_ratios_sum_to_one_under_any_light():
    x = np.random.default_rng(0).uniform(0.2, 1, (1, 5, 6, 3)).astype(np.float32)
    ratio = np.asarray(colour_ratio(x))
    np.testing.assert_allclose(ratio.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(colour_ratio(x / 2), ratio, atol=2e-3)
    np.testing.assert_allclose(colour_ratio(np.zeros_like(x)), 1 / 3, rtol=1e-6)


def test_the_noise_map_is_the_larger_central_difference():
    x = np.random.default_rng(0).uniform(size=(1, 4, 5, 2))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    down = np.abs(padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
    along = np.abs(padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
    np.testing.assert_allclose(noise_map(jnp.array(x, jnp.float32)), np.maximum(down, along), atol=1e-6)


def test_bfloat16_applies_to_the_encoder_only(random_model):
    model, variables = random_model(scale=2)
    low, y = pair(8, 8, 2)
    apply = functools.partial(model.clone(dtype=jnp.bfloat16).apply, variables)
    condition = jax.eval_shape(functools.partial(apply, method="condition"), low)
    assert {features.dtype for features in condition.features} == {jnp.dtype("bfloat16")}
    out = jax.eval_shape(functools.partial(apply, method="encode"), y, low)
    assert {leaf.dtype for leaf in jax.tree.leaves(out)} == {jnp.dtype("float32")}


def test_with_a_prior_of_zero_there_is_no_colour_ratio(random_model):
    model, variables = random_model(split=True, prior="zero")
    assert set(jax.eval_shape(model.apply, variables, jnp.zeros((1, 8, 8, 3)))) == {"restored"}


class Squeezes(ConditionalFlow):
    """A flow without steps; fresh splits change nothing."""

    def _chain(self, k, kind):
        return lambda z, condition, inverse=False: (z, jnp.zeros((1, z.shape[0])))


@pytest.mark.parametrize("split", [False, True])
def test_mean_of_the_latent_is_the_image_as_a_flow_without_steps_maps_it(split):
    """Three levels: every value of the colour ratio map appears once, at the pixels that its part of z stands for."""
    flow = Squeezes(levels=3, split=split)
    image = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 16, 8, 3)), jnp.float32)
    conditions = [jnp.zeros((1, 16 // 2**k, 8 // 2**k, 1)) for k in (1, 2, 3)]
    (z, _), _ = flow.init_with_output(KEY, image, conditions)
    np.testing.assert_array_equal(arrange(image, levels=3, split=split), z)
    assert np.array_equal(np.sort(np.ravel(z)), np.sort(np.ravel(image)))


@pytest.mark.parametrize("option", sorted(CHOICES))
def test_unknown_values_list_the_known(option):
    with pytest.raises(UserError, match="known: "):
        create_model("lolisrflow", **{option: "nonsense"})


def test_every_choice_is_a_field():
    assert set(CHOICES) < {field.name for field in dataclasses.fields(LoLiSRFlow)}
