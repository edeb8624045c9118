import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.tiles import plan_axis


@pytest.mark.parametrize("size", [1, 47, 48, 49, 63, 64, 65, 100, 129, 500])
@pytest.mark.parametrize(("tile", "overlap", "multiple"), [(48, 8, 8), (64, 16, 16), (40, 5, 1), (32, 0, 8)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_tiles_cover_the_axis_and_windows_sum_to_exactly_one(size, tile, overlap, multiple, scale):
    axis = plan_axis(size, tile, overlap, multiple)
    total = np.zeros(axis.size * scale, np.float32)
    for start, window in zip(axis.starts, axis.windows(scale), strict=True):
        assert 0 <= start <= axis.size - axis.tile
        assert start % multiple == 0
        assert window.shape == (axis.tile * scale,)
        assert window.min() >= 0
        total[start * scale : (start + axis.tile) * scale] += window
    assert size <= axis.size < size + multiple
    np.testing.assert_array_equal(total, 1.0)


def test_neighbours_share_the_overlap_and_cut_edges_are_discarded():
    axis = plan_axis(300, 64, 16, 8)
    assert all(b - a <= 64 - 16 for a, b in zip(axis.starts, axis.starts[1:], strict=False))
    windows = axis.windows(1)
    for window in windows[1:]:
        assert (window[:4] == 0).all()
    for window in windows[:-1]:
        assert (window[-4:] == 0).all()
    assert windows[0][0] == 1
    assert windows[-1][-1] == 1


def test_axis_of_one_tile_is_unchanged():
    axis = plan_axis(61, 64, 16, 8)
    assert (axis.size, axis.tile, axis.starts) == (61, 61, (0,))


def test_a_tile_smaller_than_its_overlap_is_an_error():
    with pytest.raises(UserError, match="too small for an overlap of 32"):
        plan_axis(300, 64, 32, 8)
