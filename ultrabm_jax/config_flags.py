"""Command lines with a config: --config FILE, --config.FIELD=VALUE, presets, flag files and other absl flags."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from ultrabm_jax.buckets import open_path
from ultrabm_jax.cli import enable_compilation_cache, run
from ultrabm_jax.config import default_config, preset_fields
from ultrabm_jax.config.values import check_tuples, override_text
from ultrabm_jax.config_files import find_config_file
from ultrabm_jax.deprecation import rename_fields, rename_overrides
from ultrabm_jax.errors import UserError, did_you_mean
from ultrabm_jax.logging import logger

if TYPE_CHECKING:  # commands with argparse do without absl
    from absl import flags
    from ml_collections import ConfigDict


def define_config() -> flags.FlagHolder[ConfigDict]:
    """Defines --config, the experiment file, and its overrides.

    Ends the process with one line if a flag file cannot be read, which ml_collections does here.
    """
    from absl import flags
    from ml_collections import config_flags

    try:
        return config_flags.DEFINE_config_file("config", None, "The experiment.", lock_config=True)
    except flags.Error as error:
        message = _flag_file_error(error)

    def fail() -> NoReturn:
        raise message

    sys.exit(run(fail))


def run_with_flags(
    main: Callable[[], int | None],
    *,
    required: Sequence[str] = (),
    description: str | None = None,
    run_config: str | None = None,
) -> NoReturn:
    """Runs a command with absl flags, of which `required` must be given, and exits the process.

    --help shows `description` and the flags defined so far outside absl. run_config: a config file whose argument is a
    workdir (commands/run_config.py); it is used if --workdir is given without --config.
    """
    from absl import app, flags, logging

    if description is not None:
        sys.modules["__main__"].__doc__ = description  # where absl reads the text of --help
        for module, defined in flags.FLAGS.flags_by_module_dict().items():
            if not module.startswith("absl."):
                for flag in defined:
                    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)

    def parse(argv: Sequence[str]) -> list[str]:
        rest = parse_flags(argv)[1:]
        missing = [f"--{name}" for name in required if flags.FLAGS[name].value in (None, "")]
        if rest or missing:
            what = f"unknown arguments: {' '.join(rest)}" if rest else f"missing: {', '.join(missing)}"
            raise UserError(f"{what}; --help lists the flags")
        return list(argv[:1])

    def quiet_main(_: Sequence[str]) -> int:
        if not flags.FLAGS["verbosity"].present:  # absl's default is INFO, and Orbax reports every file it writes
            logging.set_verbosity(logging.WARNING)
        enable_compilation_cache()
        return run(main)

    def launch() -> None:
        # In place: config_flags reads the overrides from sys.argv, too.
        sys.argv[1:] = prepare_arguments(sys.argv[1:], run_config=run_config)
        app.run(quiet_main, flags_parser=parse)

    sys.exit(run(launch))


def prepare_arguments(argv: Sequence[str], *, run_config: str | None = None) -> list[str]:
    """Command-line arguments with flag files and names of configs resolved, old names replaced, overrides checked.

    run_config: see `run_with_flags`. Raises UserError for a flag file that cannot be read, for an unknown field,
    listing the known ones of its section, and for a value that its field does not take.
    """
    from absl import flags
    from ml_collections.config_flags.config_path import get_value

    try:
        expanded: list[str] = flags.FlagValues().read_flags_from_files(list(argv), force_gnu=False)
    except (flags.Error, OSError, UnicodeError) as error:
        raise _flag_file_error(error) from error
    arguments = _with_config_file(rename_overrides(expanded), run_config)
    path = _flag_value("config", arguments)
    fields = _overridden(arguments)
    if path is None:
        if fields:
            raise UserError(f"--config.{fields[0]} needs --config before it")
        return arguments
    config = _load_config(path)
    for field in fields:
        check_field(config, field)
    arguments = _expand_preset(arguments, config)
    checked, expected = [], None  # expected: the field whose value is the next argument
    for argument in arguments:
        match = re.fullmatch(r"(--?config\.([^=]+))(?:(=)(.*))?", argument, re.DOTALL)
        if match is not None:
            prefix, field, equals, text = match.groups()
            value = None if "[" in field else get_value(field, config)
            if equals:
                argument = f"{prefix}={override_text(field, text, value)}"
            expected = field if not equals and not isinstance(value, bool) else None
        elif expected is not None:
            value = None if "[" in expected else get_value(expected, config)
            argument, expected = override_text(expected, argument, value), None
        checked.append(argument)
    return checked


def _with_config_file(argv: Sequence[str], run_config: str | None) -> list[str]:
    """Arguments with the path of the experiment file as the value of --config; without --config, that of the run."""
    resolved, expected = [], False  # expected: the next argument is the value of --config
    for argument in argv:
        match = re.fullmatch(r"(--?config)(?:=(.*))?", argument, re.DOTALL)
        if match is not None:
            expected = match[2] is None
            argument = argument if expected else f"{match[1]}={find_config_file(match[2])}"
        elif expected:
            argument, expected = find_config_file(argument), False
        resolved.append(argument)
    workdir = _flag_value("workdir", argv)
    if run_config is None or workdir is None or _flag_value("config", argv) is not None:
        return resolved
    saved = open_path(workdir) / "config.json"
    if not saved.is_file():
        raise UserError(f"missing: --config; {saved} does not exist")
    logger.info("config: %s", saved)
    return [f"--config={run_config}:{workdir}", *resolved]


def _expand_preset(argv: Sequence[str], config: ConfigDict) -> list[str]:
    """Arguments with the fields of the last --config.preset before all other overrides, which win."""
    chosen, first = None, None
    for k, argument in enumerate(argv):
        match = re.fullmatch(r"--?(?:no)?config\.([^=]+)(?:=(.*))?", argument, re.DOTALL)
        if match is not None and first is None:
            first = k
        if match is not None and match[1] == "preset":
            chosen = match[2] if match[2] is not None else next(iter(argv[k + 1 : k + 2]), "")
    if chosen is None:
        return list(argv)
    fields = preset_fields(config.model.name, chosen).items()
    return [*argv[:first], *(f"--config.{field}={value}" for field, value in fields), *argv[first:]]


def parse_flags(argv: Sequence[str], *, values: flags.FlagValues | None = None) -> list[str]:
    """Parses absl flags that `prepare_arguments` has prepared; returns the rest. Raises UserError for wrong ones.

    values: that the arguments set; None: absl's global flags.
    """
    from absl import flags

    values = flags.FLAGS if values is None else values
    path = _flag_value("config", argv)
    try:
        rest = values(argv)
    except flags.UnrecognizedFlagError as error:
        raise UserError(f"unknown flag --{error.flagname}{_field_hint(error.flagname, path)}") from error
    except flags.Error as error:
        raise UserError(" ".join(str(error).split())) from error
    if path is not None:
        rename_fields(values["config"].value, overridden=_overridden(argv))
        check_tuples(values["config"].value)
    return rest


def read_config(path: str, overrides: Sequence[str] = ()) -> ConfigDict:
    """The config of a file with overrides such as "--config.seed=1"; does not change absl's global flags."""
    from absl import flags
    from ml_collections import config_flags

    argv = ["", *prepare_arguments([f"--config={path}", *overrides])]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    rest = parse_flags(argv, values=values)[1:]
    if rest:
        raise UserError(f"unknown arguments: {' '.join(rest)}")
    return values.config


def check_field(config: ConfigDict, field: str) -> None:
    """Raises UserError unless `config` has `field`, such as "train.steps"."""
    section, place = config, "config"
    for part in re.sub(r"\[.*?\]", "", field).split("."):
        if not hasattr(section, "keys"):
            raise UserError(f"unknown field config.{field}: {place} is a value and has no fields")
        if part not in section:
            raise UserError(
                f"unknown field config.{field}; known in {place}: {', '.join(section)}{did_you_mean(part, section)}"
            )
        section, place = section[part], f"{place}.{part}"


def _flag_file_error(error: Exception) -> UserError:
    return UserError(f"--flagfile: {' '.join(str(error).removeprefix('ERROR:: ').split())}")


def _flag_value(name: str, argv: Sequence[str]) -> str | None:
    """The last value of the flag --NAME, or None."""
    given = re.findall(rf"^--?{name}(?:=|\n)(.*)$", "\n".join(argv), re.MULTILINE)
    return given[-1] if given else None


def _overridden(argv: Sequence[str]) -> list[str]:
    """The fields that arguments --config.FIELD=VALUE and --noconfig.FIELD name."""
    return [match[1] for text in argv if (match := re.match(r"--?(?:no)?config\.([^=]+)", text))]


def _field_hint(name: str, path: str | None) -> str:
    """Proposes --config.SECTION.NAME for an unknown flag --NAME."""
    config = default_config() if path is None else _load_config(path)
    fields = [field for field in _fields(config) if field.split(".")[-1] == name]
    hint = " or ".join(f"--config.{field}" for field in fields)
    return f"; did you mean {hint}?" if hint else "; --help lists the flags"


def _fields(section: ConfigDict, prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        yield f"{prefix}{name}"
        if hasattr(value, "items"):
            yield from _fields(value, f"{prefix}{name}.")


def _load_config(path: str) -> ConfigDict:
    """The config without overrides. Errors inside the file keep their traceback."""
    from absl import flags
    from ml_collections import config_flags

    argv = ["", f"--config={path}"]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    values(argv)
    return values.config
