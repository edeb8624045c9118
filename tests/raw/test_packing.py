from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sid_packing import COLOURS, pack_by_slices

from ultrabm_jax.errors import UserError
from ultrabm_jax.raw.cfa import XTRANS
from ultrabm_jax.raw.packing import pack_xtrans


def test_every_index_of_xtrans():
    mosaic = np.arange(18 * 12).reshape(18, 12)
    packed = pack_xtrans(mosaic)
    assert packed.shape == (6, 4, 9)
    np.testing.assert_array_equal(packed, pack_by_slices(mosaic))


def test_each_channel_has_one_colour_of_the_sensor():
    packed = pack_xtrans(np.tile(XTRANS, (3, 2)))
    for channel, colour in COLOURS.items():
        assert set(packed[..., channel].ravel()) == {("red", "green", "blue").index(colour)}


def test_packing_is_a_permutation_of_each_image_of_a_batch():
    mosaics = np.random.default_rng(0).random((2, 3, 12, 18))
    packed = pack_xtrans(mosaics)
    assert packed.shape == (2, 3, 4, 6, 9)
    np.testing.assert_array_equal(packed[1, 2], pack_xtrans(mosaics[1, 2]))
    assert sorted(packed[1, 2].ravel()) == sorted(mosaics[1, 2].ravel())


def test_numpy_and_jax_agree():
    mosaic = np.arange(2 * 12 * 18, dtype=np.float32).reshape(2, 12, 18)
    np.testing.assert_array_equal(jax.jit(pack_xtrans)(jnp.asarray(mosaic)), pack_xtrans(mosaic))


def test_sides_must_be_multiples():
    with pytest.raises(UserError, match="13x12 cannot be packed: both sides must be multiples of 6"):
        pack_xtrans(np.zeros((12, 13)))
