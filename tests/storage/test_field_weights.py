"""Weight files as people have them: SCI's release in other wrappings (`../shared/field/weights`)."""

from __future__ import annotations

import numpy as np
import pytest

from ultrabm_jax.errors import UserError
from ultrabm_jax.weights import from_torch, load_torch


@pytest.fixture
def field(shared):
    folder = shared / "field" / "weights"
    if not folder.is_dir():
        pytest.skip("no shared/field/weights beside the checkout (set ULTRABM_SHARED)")
    return folder


@pytest.fixture
def plain(field):
    return load_torch(field / "plain.pth")


@pytest.mark.parametrize("file", ["prefix_orig_mod.pth", "prefix_net_g.pth", "wrap_net.pth"])
def test_wrapped_files_equal_the_original(field, plain, file):
    got = load_torch(field / file)
    assert list(got) == list(plain)
    for name, value in plain.items():
        assert got[name].dtype == value.dtype
        np.testing.assert_array_equal(got[name], value)


@pytest.mark.parametrize(
    "file", ["train_numpy_scalar.pth", "train_namespace.pth", "train_adam.pth", "weights.safetensors"]
)
def test_training_checkpoints_and_safetensors_equal_the_original(field, plain, file):
    """Their counters are float32 of shape (1,), so values are compared."""
    got = load_torch(field / file)
    assert sorted(got) == sorted(plain)
    for name, value in plain.items():
        np.testing.assert_array_equal(got[name].ravel(), value.ravel())


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("lfs.pth", r"lfs\.pth: a Git LFS pointer: fetch the file with `git lfs pull`$"),
        ("page.pth", r"page\.pth: a web page: the download failed$"),
    ],
)
def test_other_files_are_recognised(field, file, message):
    with pytest.raises(UserError, match=message):
        load_torch(field / file)


def test_half_precision(field, plain):
    got = load_torch(field / "f16.pth")
    assert list(got) == list(plain)
    assert {value.dtype for value in got.values()} == {np.dtype(np.float16)}
    for name, value in plain.items():
        np.testing.assert_array_equal(got[name], value.astype(np.float16))


def test_nan_is_read_as_stored(field, plain):
    got = load_torch(field / "nan.pth")
    assert list(got) == list(plain)
    assert any(np.isnan(value).any() for value in got.values())


@pytest.mark.parametrize("file", ["plain.pth", "prefix_orig_mod.pth", "weights.safetensors", "train_namespace.pth"])
def test_files_are_imported(field, file):
    assert "params" in from_torch("sci", load_torch(field / file))
