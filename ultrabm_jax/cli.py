"""Shared by the command lines: exit status and one-line errors, flags and configs, compilation cache, progress bars."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from absl import app, flags, logging

from ultrabm_jax.deprecation import rename_fields, rename_overrides
from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import configure_logging

if TYPE_CHECKING:
    from ml_collections import ConfigDict

T = TypeVar("T")


def start(main: Callable[[], int | None], *, required: Sequence[str] = ()) -> NoReturn:
    """Runs a script with absl flags, of which `required` must be given, and exits the process."""

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
        sys.argv[1:] = rename_overrides(sys.argv[1:])  # config_flags reads the overrides from sys.argv, too
        app.run(quiet_main, flags_parser=parse)

    sys.exit(run(launch))


def run(main: Callable[[], int | None]) -> int:
    """Calls `main` and returns its exit status. A UserError prints one line and gives status 1."""
    configure_logging()
    try:
        return main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def parse_flags(argv: Sequence[str], *, values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Parses absl flags. Raises UserError for an unknown field of --config, listing the known ones of its section."""
    given = re.findall(r"^--?config(?:=|\n)(.*)$", "\n".join(argv), re.MULTILINE)
    fields = [match[1] for text in argv if (match := re.match(r"--?(?:no)?config\.([^=]+)", text))]
    if given:
        config = _load_config(given[-1])
        for field in fields:
            check_field(config, field)
    elif fields:
        raise UserError(f"--config.{fields[0]} needs --config before it")
    try:
        rest = values(argv)
    except flags.Error as error:
        raise UserError(" ".join(str(error).split())) from error
    if given:
        rename_fields(values["config"].value, overridden=fields)
    return rest


def read_config(path: str, overrides: Sequence[str] = ()) -> ConfigDict:
    """The config of a file with overrides such as "--config.seed=1"; does not change absl's global flags."""
    from ml_collections import config_flags

    argv = ["", f"--config={path}", *rename_overrides(overrides)]
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
            raise UserError(f"unknown field config.{field}; known in {place}: {', '.join(section)}")
        section, place = section[part], f"{place}.{part}"


def _load_config(path: str) -> ConfigDict:
    """The config without overrides. Errors inside the file keep their traceback."""
    from ml_collections import config_flags

    file = Path(path.split(":", 1)[0])
    if not file.is_file():
        others = sorted(str(p) for p in file.parent.glob("*.py") if not p.name.startswith("_"))
        raise UserError(f"--config: {file} is not a file" + (f"; there are: {', '.join(others)}" if others else ""))
    argv = ["", f"--config={path}"]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    values(argv)
    return values.config


def compilation_cache_folder() -> Path | None:
    """Folder of the compilation cache: $ULTRABM_COMPILATION_CACHE ("off": none) or the user's cache folder."""
    chosen = os.environ.get("ULTRABM_COMPILATION_CACHE", "")
    if chosen.lower() == "off":
        return None
    return Path(chosen) if chosen else user_cache_folder() / "compiled"


def user_cache_folder() -> Path:
    """This package's part of the user's cache folder, for compiled programs and downloaded weights."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ultrabm_jax"


def enable_compilation_cache() -> None:
    """Keeps compiled programs on disk for later runs."""
    import jax

    folder = compilation_cache_folder()
    if folder is not None and "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # JAX's own setting takes precedence
        jax.config.update("jax_compilation_cache_dir", str(folder))


def progress(items: Sequence[T], unit: str, *, describe: Callable[[T], str] | None = str) -> Iterator[T]:
    """Iterates over `items` with a progress bar in a terminal; elsewhere prints `[3/12] name` before each item.

    With `describe=None` nothing is printed elsewhere.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, unit=unit, dynamic_ncols=True)
        return
    for k, item in enumerate(items, start=1):
        if describe is not None:
            print(f"[{k}/{len(items)}] {describe(item)}", file=sys.stderr, flush=True)
        yield item
