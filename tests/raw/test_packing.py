from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.raw.packing import pack_xtrans

# SID's X-Trans channels 0 to 4: (row, column) in the cell for the packed pixels (0,0), (0,1), (1,0), (1,1).
PLACES = {
    0: [(0, 0), (0, 4), (3, 1), (3, 3)],
    1: [(0, 2), (0, 5), (3, 2), (3, 5)],
    2: [(0, 1), (0, 3), (3, 0), (3, 4)],
    3: [(1, 2), (2, 5), (5, 2), (4, 5)],
    4: [(2, 2), (1, 5), (4, 2), (5, 5)],
}
GREENS = {5: (1, 0), 6: (1, 1), 7: (2, 0), 8: (2, 1)}  # the start of the slices with step 3


def test_every_index_of_xtrans():
    mosaic = np.arange(18 * 12).reshape(18, 12)
    packed = pack_xtrans(mosaic)
    assert packed.shape == (6, 4, 9)
    for channel, places in PLACES.items():
        for (dy, dx), (row, column) in zip([(0, 0), (0, 1), (1, 0), (1, 1)], places, strict=True):
            np.testing.assert_array_equal(packed[dy::2, dx::2, channel], mosaic[row::6, column::6])
    for channel, (row, column) in GREENS.items():
        np.testing.assert_array_equal(packed[..., channel], mosaic[row::3, column::3])


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
