"""The state dict reader: layouts, and one error for all mismatches."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.storage.state_dict import StateDictReader, strip_common_prefix


@pytest.fixture
def state():
    rng = np.random.default_rng(0)
    shapes = {
        "net.a.weight": (8, 4, 3, 5),
        "net.a.bias": (8,),
        "net.bn.weight": (8,),
        "net.bn.bias": (8,),
        "net.bn.running_mean": (8,),
        "net.bn.running_var": (8,),
        "net.fc.weight": (6, 8, 1, 1),
        "other": (2,),
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def read_all(reader: StateDictReader) -> dict:
    statistics = {"mean": reader.tensor("bn.running_mean"), "var": reader.tensor("bn.running_var")}
    return {"a": reader.conv("a", bias=True), "bn": reader.norm("bn") | statistics, "fc": reader.conv("fc")}


def test_layouts(state):
    reader = StateDictReader(state, "net.")
    tree = read_all(reader)
    assert tree["a"]["kernel"].shape == (3, 5, 4, 8)
    np.testing.assert_array_equal(tree["a"]["kernel"][1, 2, 3], state["net.a.weight"][:, 3, 1, 2])
    np.testing.assert_array_equal(tree["fc"]["kernel"][0, 0], state["net.fc.weight"][..., 0, 0].T)
    np.testing.assert_array_equal(tree["bn"]["scale"], state["net.bn.weight"])
    np.testing.assert_array_equal(tree["bn"]["var"], state["net.bn.running_var"])
    assert "bias" not in tree["fc"]
    reader.check_complete()  # ignores names outside the prefix


def test_one_error_lists_missing_unexpected_and_misshapen(state):
    del state["net.bn.bias"], state["net.a.bias"]
    state |= {"net.extra.1": np.zeros(1), "net.extra.2": np.zeros(1)}
    reader = StateDictReader(state).scope("net")
    read_all(reader)
    reader.tensor("bn.weight", shape=(9,))
    with pytest.raises(UserError) as caught:
        reader.check_complete(network="a test")
    message = str(caught.value)
    assert "2 missing, first net.a.bias" in message
    assert "2 unexpected, first net.extra.1" in message
    assert "1 of another shape, first net.bn.weight (8,) instead of (9,)" in message
    assert "\n" not in message


def test_unread_names_can_be_ignored(state):
    reader = StateDictReader(state)
    reader.scope("net").conv("a")
    with pytest.raises(UserError, match="6 unexpected"):
        reader.check_complete()
    reader.check_complete(ignore=r"^(net\.(bn|fc)|other)")


def test_shapes_are_compared_with_the_model_under_torch_names(state):
    import jax

    reader = StateDictReader(state, "net.")
    variables = read_all(reader)
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), variables)
    reader.check_complete(variables, shapes=like)
    like["a"]["kernel"] = jax.ShapeDtypeStruct((3, 3, 4, 8), np.float32)
    with pytest.raises(UserError, match=r"net\.a\.weight \(8, 4, 3, 5\) instead of \(8, 4, 3, 3\)"):
        reader.check_complete(variables, shapes=like)


def test_missing_and_unexpected_parameters(state):
    import jax

    reader = StateDictReader(state, "net.")
    variables = read_all(reader)
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), variables)
    del like["fc"]
    like["new"] = jax.ShapeDtypeStruct((1,), np.float32)
    with pytest.raises(UserError, match=r"1 missing, first new; 1 unexpected, first net\.fc\.weight"):
        reader.check_complete(variables, shapes=like)


def test_strip_common_prefix():
    assert list(strip_common_prefix({"model.a": 0, "model.b": 1}, "model.")) == ["a", "b"]
    assert list(strip_common_prefix({"model.a": 0, "b": 1}, "model.")) == ["model.a", "b"]
