"""Config fields that have been renamed. The old names work for one release, with a warning.

Old names are accepted on the command line (`--config.data.corners=grid`), in experiment files and in the config.json of
earlier runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from ml_collections import ConfigDict

from ultrabm_jax.logging import logger

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


def _rename_value(field: str, value: str) -> str:
    new = VALUES.get(field, {}).get(value, value)
    if new != value:
        logger.warning("config.%s=%s is deprecated; use %s", field, value, new)
    return new
