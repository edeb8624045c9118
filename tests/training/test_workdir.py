"""The files of a workdir beside its checkpoints: config.json and the frozen variables."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError
from ultrabm_jax.training.frozen import load_frozen, save_frozen
from ultrabm_jax.training.workdir import check_config, read_run_config, write_config


def test_frozen_variables_are_saved_once_and_atomically(tmp_path):
    assert load_frozen(tmp_path) is None
    save_frozen(tmp_path, {"perceptual": {"x": np.ones(2)}})
    assert load_frozen(tmp_path) is None
    (tmp_path / "frozen.orbax-checkpoint-tmp").mkdir()  # of a run that was killed meanwhile
    save_frozen(tmp_path, {"model": {"semantic": {"x": jnp.arange(3.0)}}})
    save_frozen(tmp_path, {"model": {"semantic": {"x": jnp.zeros(3)}}})
    np.testing.assert_array_equal(load_frozen(tmp_path)["semantic"]["x"], [0, 1, 2])
    shutil.rmtree(tmp_path / "frozen" / "d")
    with pytest.raises(UserError, match=r"frozen is damaged .* delete it; the same train.py command"):
        load_frozen(tmp_path)


def model_config(**model):
    return ConfigDict({"model": {"name": "tiny", "scale": 2, "dtype": "float32"} | model, "eval": {"best": "psnr_rgb"}})


def test_workdir_of_another_model_is_refused(tmp_path):
    check_config(tmp_path, model_config())
    write_config(tmp_path, model_config())
    check_config(tmp_path, model_config(dtype="bfloat16"))
    message = (
        "another model's run: model.name is 'tiny' there, 'drgn' here, model.scale is 2 there, 4 here; use another"
    )
    with pytest.raises(UserError, match=message):
        check_config(tmp_path, model_config(name="drgn", scale=4))
    assert read_run_config(tmp_path).model.scale == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": {}}', '{"config": {"model": 3}}'])
def test_damaged_config_error_names_the_file(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config.json is damaged"):
        check_config(tmp_path, model_config())


def test_config_records_package_versions(tmp_path):
    write_config(tmp_path, model_config())
    assert json.loads((tmp_path / "config.json").read_text())["versions"]["jax"] == jax.__version__


def test_only_the_first_process_writes_the_config(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    write_config(tmp_path, model_config())
    assert not list(tmp_path.iterdir())
