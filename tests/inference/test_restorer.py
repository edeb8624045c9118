import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.inference.restorer import Restorer


def image(height, width, seed=0):
    """Brighter to the right, so that statistics of a tile differ from those of the image."""
    noise = np.random.default_rng(seed).random((height, width, 3), np.float32)
    return 0.5 * noise * np.linspace(0.1, 1, width, dtype=np.float32)[:, None]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (31, 33), (40, 24)])
def test_output_is_exactly_scale_times_any_input(network, shape):
    restored = Restorer(*network)(image(*shape))
    assert restored.shape == (2 * shape[0], 2 * shape[1], 3)
    assert restored.dtype == np.float32
    assert restored.min() >= 0
    assert restored.max() <= 1


@pytest.mark.parametrize("shape", [(47, 49), (48, 49), (49, 48), (49, 49), (64, 130), (130, 5), (1, 2400)])
def test_tiles_with_the_images_statistics_equal_the_whole_image(network, shape):
    low = image(*shape)
    tiled, whole = Restorer(*network, tile=48, overlap=8), Restorer(*network, tile=0)
    restored = tiled.restore(low, statistics=whole.record(low))
    np.testing.assert_allclose(restored, whole(low), rtol=0, atol=1e-6)


def test_the_preview_gives_every_tile_the_same_statistics(network):
    low = image(90, 200)
    tiled = Restorer(*network, tile=48, overlap=8)
    preview = tiled.preview(low)
    assert preview.shape[0] * preview.shape[1] <= 48**2
    whole = Restorer(*network, tile=0)(low)
    # The mean survives shrinking, so the result is the whole image's; tiles on their own are far off.
    np.testing.assert_allclose(tiled(low), whole, rtol=0, atol=1e-3)
    alone = Restorer(*network, tile=0)(low[:48, :48])
    assert np.abs(alone[:80, :80] - whole[:80, :80]).max() > 0.01


def test_statistics_left_by_init_are_not_used(network):
    task, variables = network
    assert "statistics" in variables
    low = image(20, 20)
    np.testing.assert_array_equal(Restorer(task, variables)(low), Restorer(task, {"params": variables["params"]})(low))


def test_one_tile_shape_is_compiled_once(network):
    restorer = Restorer(*network, tile=48, overlap=8)
    restorer(image(90, 200))
    restorer(image(120, 110))
    assert restorer._restore._alone._cache_size() == 1


@pytest.mark.parametrize("options", [{"tile": 64}, {"tile": -1}, {"overlap": -1}])
def test_tiles_smaller_than_the_overlap_are_refused_early(network, options):
    with pytest.raises(UserError):
        Restorer(*network, **options)


def test_image_of_the_wrong_shape_is_refused(network):
    with pytest.raises(UserError, match=r"\(4, 4\)"):
        Restorer(*network)(np.zeros((4, 4), np.float32))
