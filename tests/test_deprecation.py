"""Old names of config fields, model options, flags and commands work for one release, with a warning."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ultrabm_jax.config import default_config
from ultrabm_jax.config_flags import check_field, read_config
from ultrabm_jax.deprecation import (
    FIELDS,
    OPTIONS,
    VALUES,
    rename_fields,
    rename_flags,
    rename_overrides,
    rename_saved,
    renamed_command,
)
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import configure_logging
from ultrabm_jax.models import MODELS, create_model
from ultrabm_jax.training.workdir import read_run_config

OLD = """
from ultrabm_jax.config import default_config

def get_config():
    config = default_config()
    config.data.update({"corners": "grid", "turns": "mirror"})
    return config
"""


@pytest.fixture
def warnings(capsys):
    """`warnings()`: the lines on standard error so far."""
    configure_logging()
    return lambda: capsys.readouterr().err.splitlines()


def test_every_new_name_is_a_field_and_every_old_one_is_not():
    config = default_config()
    for old, new in FIELDS.items():
        check_field(config, new)
        with pytest.raises(UserError, match="unknown field"):
            check_field(config, old)
    assert VALUES.keys() <= set(FIELDS.values())


def test_overrides(warnings):
    argv = ["train.py", "--config=c.py", "--config.data.corners=anywhere", "--config.data.turns", "mirror", "-v=all"]
    assert rename_overrides([*argv, "--config.seed=1"]) == [
        *("train.py", "--config=c.py", "--config.data.crop_offsets=random", "--config.data.flips", "horizontal"),
        *("-v=all", "--config.seed=1"),
    ]
    assert warnings() == [
        "warning: --config.data.corners is deprecated; use --config.data.crop_offsets",
        "warning: config.data.crop_offsets=anywhere is deprecated; use random",
        "warning: --config.data.turns is deprecated; use --config.data.flips",
        "warning: config.data.flips=mirror is deprecated; use horizontal",
    ]


def test_current_names_are_unchanged_and_give_no_warning(warnings):
    argv = ["--config.data.flips=none", "--config.data.root", "all", "--noconfig.model.fsi", "all"]
    assert rename_overrides(argv) == argv
    assert warnings() == []


def test_read_config_accepts_old_overrides(tmp_path, warnings):
    (tmp_path / "new.py").write_text(OLD.replace('"corners": "grid", "turns": "mirror"', '"flips": "none"'))
    config = read_config(str(tmp_path / "new.py"), ["--config.train.on_bad=return", "--config.train.max_returns=7"])
    assert (config.train.on_nonfinite, config.train.max_rollbacks, config.data.flips) == ("rollback", 7, "none")
    assert len(warnings()) == 3


def test_an_experiment_file_with_old_fields(tmp_path, warnings):
    """The command line has the last word, under the old name and the new one."""
    (tmp_path / "old.py").write_text(OLD)
    config = read_config(str(tmp_path / "old.py"), ["--config.data.flips=d4"])
    assert (config.data.crop_offsets, config.data.flips) == ("grid", "d4")
    assert "corners" not in config.data
    assert "turns" not in config.data
    assert config.is_locked
    assert warnings() == [
        "warning: the config sets data.corners, which is deprecated; use data.crop_offsets",
        "warning: the config sets data.turns, which is deprecated; use data.flips",
    ]
    assert read_config(str(tmp_path / "old.py"), ["--config.data.turns=all"]).data.flips == "d4"


def test_fields_of_a_config_are_renamed_once(warnings):
    config = default_config()
    config.mesh.small = 7
    rename_fields(config)
    rename_fields(config)
    assert config.mesh.min_sharded_size == 7
    assert len(warnings()) == 1


def test_a_config_json_of_an_earlier_release(tmp_path, warnings):
    config = json.loads(default_config().to_json())
    old = {"train": {}, "data": {}, "eval": {}, "mesh": {}, "model": {}}
    for name, field in FIELDS.items():
        (section, before), (_, now) = name.split("."), field.split(".")
        old[section][before] = config[section].pop(now)
    old["data"] |= {"corners": "anywhere", "turns": "mirror", "in_memory": "split"}
    old["train"] |= {"on_bad": "return", "max_returns": 9}
    for section, values in old.items():
        config[section] |= values
    (tmp_path / "config.json").write_text(json.dumps({"config": config}))
    read = read_run_config(tmp_path)
    data, train = read.data, read.train
    assert (data.crop_offsets, data.flips, data.in_memory_placement) == ("random", "horizontal", "sharded")
    assert (train.on_nonfinite, train.max_rollbacks) == ("rollback", 9)
    assert [(section, set(read[section]) ^ set(default_config()[section])) for section in old] == [
        (section, set()) for section in old
    ]
    (line,) = warnings()
    assert line.startswith(f"note: {tmp_path / 'config.json'} is from an earlier release; renamed: data.corners, ")


def test_model_options(warnings):
    old = create_model("ultrabm", stage1="bilinear", stage2_input="x", semantic="none")
    assert old == create_model("ultrabm", rsmu_step1="bilinear", second_stream_input="x", semantic="none")
    assert warnings() == [
        "warning: option stage1 of ultrabm is deprecated; use rsmu_step1",
        "warning: option stage2_input of ultrabm is deprecated; use second_stream_input",
    ]
    with pytest.raises(UserError, match=r"unknown option of ultrabm: 'stage1'; known: .*rsmu_step1"):
        create_model("ultrabm", stage1="bilinear", rsmu_step1="bilinear")
    for model, names in OPTIONS.items():
        fields = {field.name for field in dataclasses.fields(MODELS[model].module)}
        assert fields >= set(names.values())
        assert not fields & set(names)


def test_flags_and_commands(warnings):
    command = "ultrabm_jax.tools.degrade"
    argv = ["a.png", "--donors", "D", "--donors=E=F", "--low-images", "--donors-x"]
    assert rename_flags(command, argv) == [
        "a.png",
        "--low-images",
        "D",
        "--low-images=E=F",
        "--low-images",
        "--donors-x",
    ]
    assert renamed_command("input_pipeline.degrade") == command
    assert warnings() == [
        *["warning: --donors is deprecated; use --low-images"] * 2,
        "warning: python -m input_pipeline.degrade is deprecated; use python -m ultrabm_jax.tools.degrade",
    ]


def test_a_saved_config_without_old_names():
    config = {"train": {"steps": 3}, "model": {}}
    assert rename_saved(config) == []
    assert config == {"train": {"steps": 3}, "model": {}}
