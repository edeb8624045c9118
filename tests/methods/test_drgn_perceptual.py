"""The perceptual term of DRGN's second phase."""

import jax
import pytest
from tiny_drgn import (
    BATCH,
    LOW,
    PHOTO,
    REFERENCE,
    STAGE_2,
    method,
    outputs_of,
    quick,
    start,
)

from ultrabm_jax.losses.perceptual import perceptual_loss
from ultrabm_jax.storage.assets import MissingAsset


def test_perceptual_term_of_both_pairs_compares_vgg_features():
    settings = {"loss.lambda_p": 0.5, "loss.lambda_p_ref": 0.25}
    one, state, made = method(**settings), start(STAGE_2), outputs_of(STAGE_2)
    try:
        frozen = one.frozen(jax.random.key(0))
    except MissingAsset as error:
        pytest.skip(str(error))
    reg, deg = state.params["reg"], state.params["deg"]
    total, terms = quick(one.refinement_loss)(reg, BATCH, deg=deg, frozen=frozen)
    without, _ = quick(method().refinement_loss)(reg, BATCH, deg=deg, frozen={})
    pairs = {"p": (LOW - made.degradation, REFERENCE), "p_ref": (made.low_ref - made.degradation_ref, PHOTO)}
    for name, (base, target) in pairs.items():
        restored = one.model.apply({"params": {"reg": reg}}, base, method="refine")
        expected = perceptual_loss(frozen["perceptual"], restored, target, network="vgg16")
        assert float(terms[name]) == pytest.approx(float(expected.mean()), rel=1e-4)
    assert float(total - without) == pytest.approx(float(0.5 * terms["p"] + 0.25 * terms["p_ref"]), rel=1e-4)
    assert one.frozen_shapes() == jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), frozen)
    assert method().frozen(jax.random.key(0)) == method().frozen_shapes() == {}


@pytest.mark.parametrize("name", ["p", "p_ref"])
def test_perceptual_term_is_computed_only_for_the_pairs_that_have_a_weight(name, monkeypatch):
    both = method(**{"loss.lambda_p": 0.5, "loss.lambda_p_ref": 0.25})
    one, state = method(**{f"loss.lambda_{name}": 0.5}), start(STAGE_2)
    seen = []

    def squared_error(frozen, restored, target, *, network, dtype):
        seen.append(restored.shape[0])
        return ((restored - target) ** 2).mean((1, 2, 3))

    monkeypatch.setattr("ultrabm_jax.methods.perceptual.perceptual_loss", squared_error)
    arguments = {"deg": state.params["deg"], "frozen": {"perceptual": {}}}
    _, expected = both.refinement_loss(state.params["reg"], BATCH, **arguments)
    _, terms = one.refinement_loss(state.params["reg"], BATCH, **arguments)
    assert seen == [2 * len(LOW), len(LOW)]
    assert set(terms) == set(expected) - ({"p", "p_ref"} - {name})
    assert float(terms[name]) == pytest.approx(float(expected[name]), rel=1e-6)
    assert float(expected["p"]) != pytest.approx(float(expected["p_ref"]), rel=1e-2)
