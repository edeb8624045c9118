"""Renamed config fields, model options, flags and commands. The old names work for one release, with a warning.

Old names of config fields are accepted on the command line (`--config.data.corners=grid`), in experiment files and in
the config.json of earlier runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from ml_collections import ConfigDict

from ultrabm_jax.logging import logger

T = TypeVar("T")

FIELDS: Mapping[str, str] = {
    "data.corners": "data.crop_offsets",
    "data.derived": "data.extra_inputs",
    "data.in_memory": "data.in_memory_placement",
    "data.on_bad": "data.on_unreadable",
    "data.turns": "data.flips",
    "eval.compared": "eval.baselines",
    "mesh.small": "mesh.min_sharded_size",
    "model.stage2_input": "model.second_stream_input",
    "train.max_bad_steps": "train.max_nonfinite_steps",
    "train.max_returns": "train.max_rollbacks",
    "train.on_bad": "train.on_nonfinite",
    "train.return_factor": "train.rollback_factor",
}

# Options of `create_model`, `from_torch` and `restore.py --option`, by model.
OPTIONS: Mapping[str, Mapping[str, str]] = {"ultrabm": {"stage1": "rsmu_step1", "stage2_input": "second_stream_input"}}
# Modules that are run with `python -m`, and flags of such modules.
COMMANDS: Mapping[str, str] = {"input_pipeline.degrade": "ultrabm_jax.tools.degrade"}
FLAGS: Mapping[str, Mapping[str, str]] = {"ultrabm_jax.tools.degrade": {"--donors": "--low-images"}}

SavedConfig: TypeAlias = dict[str, Any]  # the content of a config.json: sections and fields of any JSON type

# Values that have been renamed, by the new name of their field.
VALUES: Mapping[str, Mapping[str, str]] = {
    "data.crop_offsets": {"anywhere": "random"},
    "data.flips": {"all": "d4", "mirror": "horizontal"},
    "data.in_memory_placement": {"each": "replicated", "split": "sharded"},
    "train.on_nonfinite": {"return": "rollback"},
}


def rename_overrides(argv: Sequence[str]) -> list[str]:
    """Command-line arguments with the old names and values of config fields replaced; warns once for each."""
    renamed, expected = [], None  # expected: the field whose value is the next argument
    for argument in argv:
        match = re.fullmatch(r"(--?config\.)([\w.]+)(?:(=)(.*))?", argument, re.DOTALL)
        if match is not None:
            prefix, old, equals, value = match.groups()
            field = FIELDS.get(old, old)
            if field != old:
                logger.warning("--config.%s is deprecated; use --config.%s", old, field)
            expected = None if equals else field
            argument = f"{prefix}{field}" + (f"={_rename_value(field, value)}" if equals else "")
        elif expected is not None:
            argument, expected = _rename_value(expected, argument), None
        renamed.append(argument)
    return renamed


def rename_fields(config: ConfigDict, *, overridden: Collection[str] = ()) -> None:
    """Renames the old fields and values of `config` in place; warns once for each.

    An old field replaces the new one, which holds a default, unless `overridden` names the new one.
    """
    with config.unlocked():
        for old, field in FIELDS.items():
            section, name = old.split(".")
            if name in config.get(section, {}):
                logger.warning("the config sets %s, which is deprecated; use %s", old, field)
                value = config[section][name]
                del config[section][name]
                if field not in overridden:
                    config[section][field.split(".")[1]] = value
        for field in VALUES:
            section, name = field.split(".")
            value = config.get(section, {}).get(name)
            if isinstance(value, str):
                config[section][name] = _rename_value(field, value)


def rename_saved(config: SavedConfig) -> list[str]:
    """Renames the old fields and values of a saved config in place; returns the old names that it had.

    Does not warn: a saved config has every field, and the user did not write it.
    """
    found = []
    for old, field in FIELDS.items():
        section, name = old.split(".")
        if name in config.get(section, {}):
            found.append(old)
            value = config[section].pop(name)
            new = VALUES.get(field, {}).get(value, value) if isinstance(value, str) else value
            config[section].setdefault(field.split(".")[1], new)
    return found


def rename_options(model: str, options: Mapping[str, T]) -> dict[str, T]:
    """Model options with old names replaced; warns once for each. An old name beside its new one is left unchanged."""
    renamed = {}
    for name, value in options.items():
        new = OPTIONS.get(model, {}).get(name, name)
        if new != name and new not in options:
            logger.warning("option %s of %s is deprecated; use %s", name, model, new)
            name = new
        renamed[name] = value
    return renamed


def rename_flags(command: str, argv: Sequence[str]) -> list[str]:
    """Arguments of `python -m COMMAND` with the old names of flags replaced; warns once for each."""
    renamed = []
    for argument in argv:
        flag, equals, value = argument.partition("=")
        new = FLAGS[command].get(flag, flag)
        if new != flag:
            logger.warning("%s is deprecated; use %s", flag, new)
        renamed.append(f"{new}{equals}{value}")
    return renamed


def renamed_command(old: str) -> str:
    """The new name of the command `python -m OLD`; warns."""
    new = COMMANDS[old]
    logger.warning("python -m %s is deprecated; use python -m %s", old, new)
    return new


def _rename_value(field: str, value: str) -> str:
    new = VALUES.get(field, {}).get(value, value)
    if new != value:
        logger.warning("config.%s=%s is deprecated; use %s", field, value, new)
    return new
