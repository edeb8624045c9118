import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from tests.export.conftest import make_source
from ultrabm_jax.export.inline import CALLS, inline_calls
from ultrabm_jax.export.substitutes import SUBSTITUTES, level_counts_by_product
from ultrabm_jax.image.equalisation import equalising_tables, level_counts, levels_of, look_up


def primitives(function, x):
    """Names of the operations of a program."""
    return {equation.primitive.name for equation in jax.make_jaxpr(function)(x).jaxpr.eqns}


@pytest.mark.parametrize("name", ["sci", "lw_drgn", "red", "lolisrflow"])
def test_values_are_equal_and_no_call_is_left(name):
    task, variables = (source := make_source(name)).task, source.variables
    low = np.random.default_rng(0).random((1, task.multiple, 2 * task.multiple, task.channels), np.float32)

    def restore(x):
        return task.restore(variables, {"low": x})

    inlined = inline_calls(restore, jax.ShapeDtypeStruct(low.shape, low.dtype))
    assert not primitives(inlined, low) & {*CALLS, "scan"}
    np.testing.assert_allclose(jax.jit(inlined)(low), jax.jit(restore)(low), atol=1e-5)


def test_operations_on_weights_are_computed_and_operations_on_the_input_are_not():
    weights = jnp.arange(6.0)

    def scaled(x):
        return x * jax.nn.relu(jnp.sin(weights) / jnp.linalg.norm(weights)) * jnp.eye(6)[2]

    inlined = inline_calls(scaled, jax.ShapeDtypeStruct((6,), np.float32))
    assert primitives(inlined, jnp.ones(6)) == {"mul"}
    np.testing.assert_allclose(jax.jit(inlined)(jnp.ones(6)), scaled(jnp.ones(6)), rtol=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_are_unrolled(reverse):
    weights = jnp.arange(1.0, 7.0).reshape(3, 2)

    def function(x):
        def body(carry, each):
            weight, scanned = each
            return (carry[0] * weight + x[0], carry[1] + 1), (carry[0] + scanned, carry[1])

        return jax.lax.scan(body, (x[0], 0), (weights, x), reverse=reverse)

    x = jnp.array([[0.5, 2.0], [-1.0, 3.0], [0.25, 1.0]])
    argument = jax.ShapeDtypeStruct(x.shape, x.dtype)
    for part in range(4):  # both carries, then both outputs of the steps
        inlined = inline_calls(lambda x, part=part: jax.tree.leaves(function(x))[part], argument)
        assert "scan" not in primitives(inlined, x)
        np.testing.assert_allclose(inlined(x), jax.tree.leaves(function(x))[part], rtol=1e-6)


def test_padding_of_an_array_of_symbolic_size_is_a_concatenation():
    def padded(x):
        return jnp.pad(x, ((0, 0), (1, 2), (0, 3)), constant_values=0.5)

    (h,) = export.symbolic_shape("h")
    shape = jax.ShapeDtypeStruct((2, 4 * h, 5), np.float32)
    x = np.random.default_rng(0).random((2, 8, 5), np.float32)
    inlined = inline_calls(padded, shape)
    assert "pad" not in primitives(inlined, shape)
    exported = export.export(jax.jit(inlined))(shape)
    np.testing.assert_array_equal(exported.call(x), padded(x))
    assert "pad" in primitives(inline_calls(padded, jax.ShapeDtypeStruct(x.shape, x.dtype)), x)
    interior = [(0, 0, 0), (0, 0, 1), (0, 0, 0)]
    with pytest.raises(NotImplementedError, match="of symbolic size"):
        inline_calls(lambda x: jax.lax.pad(x, np.float32(0), interior), shape)


def test_a_jitted_function_is_replaced_by_its_substitute():
    @jax.jit
    def doubled(x):
        return 2 * jnp.sin(x)

    def function(x):
        return doubled(doubled(x) + 1)

    inlined = inline_calls(
        function, jax.ShapeDtypeStruct((3,), np.float32), substitutes={"doubled": lambda x: jax.nn.relu(x) + x}
    )
    assert primitives(inlined, jnp.ones(3)) == {"max", "add"}
    np.testing.assert_allclose(inlined(jnp.array([-1.0, 0.5, 1.0])), [0, 4, 6])


@pytest.mark.parametrize("masked", [False, True])
def test_level_counts_by_product_are_equal(masked):
    rng = np.random.default_rng(2)
    levels = jnp.array(np.concatenate([rng.integers(0, 256, (2, 700)), rng.integers(0, 3, (2, 700))]), jnp.int32)
    weights = jnp.array(rng.integers(0, 2, 700), jnp.int32) if masked else jnp.int32(1)
    counts = level_counts_by_product(levels, weights)
    assert counts.dtype == jnp.int32
    np.testing.assert_array_equal(counts, level_counts(levels, weights))
    each = np.broadcast_to(weights, 700)
    np.testing.assert_array_equal(counts[0], np.bincount(levels[0], weights=each, minlength=256))


def test_the_export_of_equalisation_has_no_scatter():
    low = np.random.default_rng(3).random((1, 9, 7, 3), np.float32)

    def equalised(x):
        levels = levels_of(x, xp=jnp)
        return look_up(levels, equalising_tables(levels))

    inlined = inline_calls(equalised, jax.ShapeDtypeStruct(low.shape, low.dtype), substitutes=SUBSTITUTES)
    assert "scatter-add" in primitives(inline_calls(equalised, jax.ShapeDtypeStruct(low.shape, low.dtype)), low)
    assert "scatter-add" not in primitives(inlined, low)
    np.testing.assert_array_equal(inlined(low), equalised(low))
