"""What the scripts share: exit status and one-line errors, the compilation cache, progress."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ultrabm_jax.errors import UserError

T = TypeVar("T")


def run(main: Callable[[], int | None]) -> int:
    """Calls `main` and gives its exit status; a UserError is one line and status 1, anything else a traceback."""
    logging.getLogger("absl").setLevel(logging.WARNING)  # Orbax reports every file it writes
    try:
        return main() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def cache_folder() -> Path | None:
    """Where compiled programs are kept: $ULTRABM_COMPILATION_CACHE ("off": nowhere) or the user's cache folder."""
    chosen = os.environ.get("ULTRABM_COMPILATION_CACHE", "")
    if chosen.lower() == "off":
        return None
    return Path(chosen) if chosen else _user_cache() / "ultrabm_jax" / "compiled"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def enable_compilation_cache() -> None:
    """Lets later runs of a script skip compiling what an earlier one compiled."""
    import jax

    folder = cache_folder()
    if folder is not None and "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # jax's own setting goes first
        jax.config.update("jax_compilation_cache_dir", str(folder))


def progress(items: Sequence[T], unit: str, *, describe: Callable[[T], str] = str) -> Iterator[T]:
    """Goes through `items` with a bar in a terminal; elsewhere, `[3/12] name` before each on standard error."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, unit=unit, dynamic_ncols=True)
        return
    for k, item in enumerate(items, start=1):
        print(f"[{k}/{len(items)}] {describe(item)}", file=sys.stderr, flush=True)
        yield item


def say(line: str) -> None:
    """Prints a line above a progress bar, if there is one."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)
