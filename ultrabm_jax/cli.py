"""Helpers of command lines: exit status and one-line errors, parsers, compilation cache, progress bars.

Flags with a config: config_flags.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ultrabm_jax.buckets import url_scheme
from ultrabm_jax.errors import UserError, first_line
from ultrabm_jax.extras import EXTRAS, missing_extra
from ultrabm_jax.logging import configure_logging

T = TypeVar("T")
COPY = {"gs": "`gcloud storage cp -r`", "s3": "`aws s3 cp` (a folder: --recursive)"}  # what copies objects of a store


def run(main: Callable[[], int | None]) -> int:
    """Calls `main` and returns its exit status. A UserError or a missing extra prints one line and gives status 1."""
    configure_logging()
    try:
        return main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        missing = next((name for name in EXTRAS if f"{error.name}.".startswith(f"{name}.")), None)
        if missing is None:
            raise
        print(f"error: {missing_extra(missing, 'this command')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def named_paths(values: Iterable[str], option: str) -> dict[str, str]:
    """["NAME=PATH", ...] -> {NAME: PATH}. Raises UserError for another form or a name that occurs twice."""
    found: dict[str, str] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise UserError(f"{option} takes NAME=PATH, not {value!r}")
        if name in found:
            raise UserError(f"{option} names {name} twice")
        found[name] = path
    return found


def command_parser(prog: str, description: str | None, *, epilog: str | None = None) -> argparse.ArgumentParser:
    """A parser whose help shows `description`, a docstring, with its line breaks; flags cannot be abbreviated."""
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def require_local_path(text: str, option: str) -> None:
    """Raises UserError for a URL such as gs://bucket/run: a command would look for, or make, a folder of that name.

    text: a path, or NAME=PATH.
    """
    scheme = url_scheme(text) or url_scheme(text.partition("=")[2])
    if scheme is not None:
        how = f"copy between disk and store with {COPY[scheme]}" if scheme in COPY else "download it first"
        raise UserError(f"{option}={text}: this must be a path on a disk, not a URL; {how}")


def local_name(text: str) -> str:
    """The `type` of flags that take a path on a disk, or NAME=PATH."""
    try:
        require_local_path(text, "")
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("=")) from error
    return text


def local_path(text: str) -> Path:
    """`local_name` for one path, as a Path."""
    return Path(local_name(text))


def require_devices() -> None:
    """Raises UserError if JAX has no device of the platform that $JAX_PLATFORMS names."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX asserts that a platform which it does not know works
        platforms = os.environ.get("JAX_PLATFORMS", "")
        if not platforms:
            raise
        reason = f" ({first_line(error)})" if str(error) else ""
        raise UserError(
            f"JAX_PLATFORMS={platforms}, but JAX finds no such device{reason}; unset it, or install JAX for the device"
        ) from error


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


def parse_sides(text: str) -> tuple[int, int]:
    """ "400x600" -> (400, 600), height first. Raises UserError for another form."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise UserError(f"a size is HEIGHTxWIDTH, such as 384x512, not {text!r}")
    return int(sides[0]), int(sides[1])


def available_cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
