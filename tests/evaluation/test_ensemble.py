import numpy as np

from ultrabm_jax.evaluation.ensemble import ensemble

LOW = np.random.default_rng(0).random((2, 6, 9, 3), np.float32)


def enlarge(low):
    return np.repeat(np.repeat(low, 2, 1), 2, 2)


def test_each_symmetry_is_undone():
    np.testing.assert_allclose(ensemble(enlarge, LOW), enlarge(LOW), atol=1e-6)


def test_the_mean_is_that_of_eight_different_views():
    seen = []

    def ramp(low):  # adds what depends on the place in the view, not in the image
        seen.append(low[0].tobytes())
        return low + np.arange(low.shape[1], dtype=np.float32)[:, None, None]

    out = ensemble(ramp, LOW) - LOW
    assert len(set(seen)) == 8
    # Down, up, right and left ramps, each twice: the same everywhere.
    np.testing.assert_allclose(out, (5 + 8) / 4, atol=1e-5)
