"""SCI: counts, the authors' values with their three weights and of their training network, sizes and bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.layers.complexity import count_parameters
from ultrabm_jax.models import create_model
from ultrabm_jax.weights import from_torch

# what the reference calls the parts of the training network, and what is sown here
TRAINING = {"in2": "input2", "i2": "illumination2", "r2": "reflection2", "att1": "calibration1",
            "in3": "input3", "i3": "illumination3", "r3": "reflection3", "att2": "calibration2"}  # fmt: skip


@pytest.fixture(scope="module")
def released(released_weights):
    return {name: released_weights(f"sci_{name}.pth") for name in ("easy", "medium", "difficult")}


@pytest.fixture(scope="module")
def apply():
    return jax.jit(create_model("sci").apply)


@pytest.fixture(scope="module")
def make_variables(random_variables):
    """Random ones, but no negative variances."""
    return lambda model: jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.abs(leaf) if path[-1].key == "var" else leaf,
        dict(random_variables(model, jnp.zeros((1, 8, 8, 3)))),
    )


@pytest.fixture(scope="module")
def variables(make_variables):
    return make_variables(create_model("sci"))


@pytest.mark.parametrize(
    ("stages", "count"),
    [(1, 3 * 84 + 6), (3, 3 * 84 + 6 + 448 + 32 + 2 * (2320 + 32) + 435)],
)
def test_golden_counts(stages, count):
    shapes = jax.eval_shape(create_model("sci", stages=stages).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    assert count_parameters(shapes["params"]) == count


@pytest.mark.parametrize("image", ["bus", "plant"])
@pytest.mark.parametrize("weights", ["easy", "medium", "difficult"])
def test_authors_values(parity, released, apply, weights, image):
    reference = parity("open/sci.npz")
    out = apply(from_torch("sci", released[weights]), reference[f"x_{image}"])
    reference.check(f"illum_{weights}_{image}", out["illumination"])
    reference.check(f"y_{weights}_{image}", out["restored"])


def test_authors_training_network(parity, released):
    reference = parity("open/sci.npz")
    model = create_model("sci", stages=3)
    variables = from_torch("sci", released["medium"], stages=3)
    _, state = jax.jit(lambda v, x: model.apply(v, x, mutable=["intermediates"]))(variables, reference["x_bus"])
    for theirs, ours in TRAINING.items():
        a = np.asarray(state["intermediates"][ours][0], np.float64)
        a = np.abs(a) if theirs.startswith("att") else a
        i, j = (size // 2 - 2 for size in a.shape[1:3])
        parts = {"mean": a.mean((0, 1, 2)), "std": a.std((0, 1, 2)), "patch": a[:, i : i + 4, j : j + 4],
                 "tl": a[:, :4, :4], "br": a[:, -4:, -4:]}  # fmt: skip
        for part, value in parts.items():
            reference.check(f"net3_medium_bus_{theirs}_{part}", value)


def test_later_stages_do_not_change_the_result(make_variables):
    model, low = create_model("sci", stages=3), np.random.default_rng(0).random((1, 6, 7, 3), np.float32)
    variables = make_variables(model)
    first = {c: {"enhancement": tree["enhancement"]} for c, tree in variables.items()}
    out, alone = model.apply(variables, low), create_model("sci").apply(first, low)
    jax.tree.map(np.testing.assert_array_equal, out, alone)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (17, 16)])
def test_any_size(apply, variables, size):
    low = np.random.default_rng(0).random((1, *size, 3), np.float32)
    out = apply(variables, low)
    assert out["restored"].shape == out["illumination"].shape == low.shape
    assert (out["illumination"] >= low).all()  # so that nothing becomes darker, and nothing exceeds 1
    assert (out["restored"] >= low).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_stays_black_and_white_white(apply, variables, value):
    restored = apply(variables, np.full((1, 6, 5, 3), value, np.float32))["restored"]
    np.testing.assert_array_equal(restored, value)


def test_options_are_checked():
    with pytest.raises(UserError, match="unknown scale of sci: 2; known: 1"):
        create_model("sci", scale=2)
    with pytest.raises(UserError, match="unknown stages of sci: 0; known: 1, 3"):
        create_model("sci", stages=0)
