"""Residuals of the forward pass against counts by hand, and the savings of each option."""

import functools

import pytest

from configs import drgn_lol, ultrabm_lol_x2_small
from ultrabm_jax.layers import conv
from ultrabm_jax.layers.depthwise_conv import shifted_products
from ultrabm_jax.scaling.residuals import residual_bytes

BATCH, PATCH = 4, 32
MAP = 4 * 64 * BATCH * PATCH**2  # bytes of 64 float32 channels
SHORT = {"model.groups": (1, 1, 1), "model.depths": (1, 1, 1)}
BLOCKS = 2 * (1 + 1 / 4 + 1 / 16)  # RCABs of both generators, as shares of one at full size


@functools.cache
def kept(module, **changes):
    config = module.get_config()
    config.update_from_flattened_dict(SHORT if module is drgn_lol else {})
    config.update_from_flattened_dict({name.replace("__", "."): value for name, value in changes.items()})
    return residual_bytes(config, batch=BATCH, patch=PATCH)


def test_an_attention_block_keeps_four_maps_and_only_its_input_with_remat():
    assert kept(drgn_lol) > 4 * MAP * BLOCKS
    assert kept(drgn_lol) - kept(drgn_lol, model__remat=True) > 3 * MAP * BLOCKS


def test_remat_of_ultrabm_halves_the_residuals(monkeypatch):
    """Against autodiff's depthwise convolutions, which keep a shifted copy of the image for each tap."""
    remat, whole = kept(ultrabm_lol_x2_small, model__remat=True), kept(ultrabm_lol_x2_small)
    monkeypatch.setattr(conv, "depthwise_convolve", shifted_products)
    autodiff = kept.__wrapped__(ultrabm_lol_x2_small)
    assert remat < 0.5 * autodiff
    assert remat < 0.53 * whole < 0.53 * autodiff


def test_a_microbatch_keeps_its_share_of_the_activations():
    """The remaining residuals, parameters, do not depend on the microbatch."""
    whole, half, quarter = (kept(drgn_lol, train__accumulate=parts) for parts in (1, 2, 4))
    assert half - quarter == pytest.approx((whole - half) / 2, rel=1e-3)


def test_half_precision_keeps_less():
    assert kept(drgn_lol, model__dtype="bfloat16") < 0.75 * kept(drgn_lol)
