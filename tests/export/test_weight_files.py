"""Exported safetensors and PyTorch files load as the same model."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from PIL import Image

from ultrabm_jax import load_pretrained
from ultrabm_jax.commands import restore
from ultrabm_jax.errors import UserError
from ultrabm_jax.export import __main__ as command
from ultrabm_jax.export.weight_files import export_weights
from ultrabm_jax.inference import described
from ultrabm_jax.inference.described import load_described, save_described
from ultrabm_jax.storage.assets import find_asset
from ultrabm_jax.weights import from_torch, load_torch, to_torch


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("source", ["sci", "zero_dce", "red", "lw_drgn", "ultrabm"], indirect=True)
def test_round_trip(source, suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    save_described(path, source.task, source.variables, licence="", source="test")
    task, variables = load_described(path)
    assert task.model == source.task.model
    assert task.name == source.task.name
    equal = jax.tree.map(lambda a, b: bool((np.asarray(a) == np.asarray(b)).all()), variables, dict(source.variables))
    assert all(jax.tree.leaves(equal))


@pytest.mark.parametrize("source", ["sci"], indirect=True)
def test_restore_and_python_load_the_file(source, tmp_path):
    path = tmp_path / "mine.safetensors"
    assert any("differs from the network's by at most 0.0e+00" in line for line in export_weights(source, path))
    low = np.random.default_rng(0).random((9, 7, 3), np.float32)
    expected = np.asarray(source.task.restore(source.variables, {"low": low[None]}))[0]
    np.testing.assert_allclose(load_pretrained(path)(low), expected, atol=1e-6)
    Image.fromarray((low * 255).astype(np.uint8)).save(tmp_path / "night.png")
    assert restore.main(["--model", str(path), str(tmp_path / "night.png")]) == 0
    assert (tmp_path / "night_restored.png").is_file()


@pytest.mark.parametrize("name", ["zero_dce", "sci"])
def test_names_of_the_release(name):
    if find_asset(asset := {"sci": "sci_medium"}.get(name, name)) is None:
        pytest.skip(f"the released weights {asset} are not on this machine")
    released = load_torch(find_asset(asset))
    exported = to_torch(name, from_torch(name, released))
    for key, value in exported.items():
        if not key.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(value, released[key], err_msg=key)


@pytest.mark.parametrize("source", ["sci"], indirect=True)
def test_a_missing_or_damaged_description_is_named(source, tmp_path):
    path = tmp_path / "mine.pth"
    save_described(path, source.task, source.variables, licence="", source="test")
    beside = path.with_suffix(described.DESCRIPTION)
    beside.write_text("{")
    with pytest.raises(UserError, match=r"mine.json is damaged"):
        load_described(path)
    beside.unlink()
    with pytest.raises(UserError, match=r"mine.json is missing: it describes the network"):
        load_described(path)


def test_output_must_have_the_suffix_and_its_folder_must_exist(tmp_path):
    with pytest.raises(UserError, match=r"ends with .pth"):
        command.main(["sci", "--format", "pth", "--output", str(tmp_path / "a.bin")])
    with pytest.raises(UserError, match="no such folder"):
        command.main(["sci", "--format", "pth", "--output", str(tmp_path / "none" / "a.pth")])
