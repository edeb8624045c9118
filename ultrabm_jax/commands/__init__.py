"""The console command `ultrabm-jax COMMAND ...`; train.py, eval.py and restore.py are the same commands.

Each command is a module with `main(arguments)`, which is imported when it is called.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ultrabm_jax.cli import run
from ultrabm_jax.collector import pause_collector
from ultrabm_jax.errors import UserError
from ultrabm_jax.huge_pages import restart_with_huge_pages

PROGRAM = "ultrabm-jax"


class Command(NamedTuple):
    """A module with `main(arguments) -> int | None`, and what it does."""

    module: str
    purpose: str


COMMANDS: Mapping[str, Command] = {
    "restore": Command("ultrabm_jax.commands.restore", "restore photos and camera raw files"),
    "train": Command("ultrabm_jax.commands.train", "train a model"),
    "eval": Command("ultrabm_jax.commands.evaluate", "evaluate a training run on a test set"),
    "metrics": Command("ultrabm_jax.metrics.__main__", "measure images made by any program"),
    "check": Command("input_pipeline.check", "report all defects of a data set"),
    "detect": Command("ultrabm_jax.detection.__main__", "measure what a detector finds in restored images"),
    "figures": Command("ultrabm_jax.figures.__main__", "draw the figures of the papers"),
    "models": Command("ultrabm_jax.commands.models", "list the models that restore knows by name"),
    "speed": Command("ultrabm_jax.commands.speed", "measure parameters, operations, memory and time of networks"),
    "export": Command("ultrabm_jax.export.__main__", "write a model for another engine"),
    "app": Command("ultrabm_jax.app.__main__", "restore images on a local page"),
}


def main() -> int:
    """Runs the command of `sys.argv` and returns its exit status."""
    if sys.argv[1:2] == ["train"]:
        restart_with_huge_pages()
    if sys.argv[1:2] == ["restore"]:
        pause_collector()
    return run(lambda: call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int | None:
    """Runs `arguments`, the command's name and its own arguments. Raises UserError for an unknown command."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        raise UserError(f"unknown command {name!r}; known: {', '.join(COMMANDS)}")
    if not _exists(COMMANDS[name].module):
        raise UserError(f"this version of ultrabm_jax has no command {name!r}")
    sys.argv[:] = [f"{PROGRAM} {name}", *rest]  # absl and argparse read the program's name from here
    status: int | None = importlib.import_module(COMMANDS[name].module).main(rest)
    return status


def usage() -> str:
    """The help text."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.purpose}" for name, command in COMMANDS.items() if _exists(command.module)]
    return "\n".join([f"usage: {PROGRAM} COMMAND ... (COMMAND --help lists its flags)", "", "commands:", *lines])


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is missing
        return False
