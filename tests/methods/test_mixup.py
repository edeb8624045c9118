import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ultrabm_jax.methods.mixup import mixup

B = 6


@pytest.fixture
def batch():
    """Example i is one-hot in channel i, so that a mixture shows its weights; the reference is twice as large."""
    one_hot = jnp.eye(B)[:, None, None, :]
    return {"low": jnp.tile(one_hot, (1, 2, 2, 1)), "reference": 0.5 * jnp.tile(one_hot, (1, 4, 4, 1))}


def test_probability_zero_is_the_identity(batch):
    mixed = mixup(jax.random.key(0), batch, probability=0.0, alpha=1.2)
    for name in batch:
        np.testing.assert_array_equal(mixed[name], batch[name])


@pytest.mark.parametrize("seed", range(5))
def test_low_and_reference_mix_by_one_weight_with_the_same_partner(batch, seed):
    mixed = mixup(jax.random.key(seed), batch, probability=1.0, alpha=1.2)
    low, reference = np.asarray(mixed["low"][:, 0, 0]), np.asarray(mixed["reference"][:, 3, 3]) / 0.5
    np.testing.assert_allclose(low, reference, atol=1e-6)
    np.testing.assert_allclose(low.sum(axis=1), 1, atol=1e-6)
    off = low - np.diag(np.diag(low))
    assert np.count_nonzero(off) >= 2
    assert np.ptp(off[off > 0]) < 1e-6  # one weight for the whole batch
    assert (np.count_nonzero(off, axis=0) <= 1).all()  # the partners are a permutation
    assert (np.count_nonzero(off, axis=1) <= 1).all()


def test_it_is_a_function_of_the_key(batch):
    first, again, other = (
        np.asarray(mixup(jax.random.key(seed), batch, probability=1.0, alpha=1.2)["low"]) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_about_half_of_the_batches_are_mixed(batch):
    mix = jax.jit(jax.vmap(lambda key: mixup(key, batch, probability=0.5, alpha=1.2)["low"]))
    mixed = np.asarray(mix(jax.random.split(jax.random.key(0), 400)))
    untouched = (mixed == np.asarray(batch["low"])).all(axis=(1, 2, 3, 4)).mean()
    assert 0.4 < untouched < 0.6
