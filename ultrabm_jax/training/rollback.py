"""train.on_bad = "return": after too many steps that were not finite, a run goes back to the checkpoint before the
first of them and on with a smaller learning rate.

Each return is a line of workdir/returns.json, so that a run that is killed and started again keeps its rate.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import jax
from ml_collections import ConfigDict

from ultrabm_jax.errors import UserError

NAME = "returns.json"
CHOICES = ("stop", "return")


def check_on_nonfinite(train: ConfigDict) -> None:
    """Raises UserError if config.train says what no run can do."""
    if train.on_bad not in CHOICES:
        raise UserError(f"unknown train.on_bad {train.on_bad!r}; known: {', '.join(CHOICES)}")
    if not 0 < train.rollback_factor < 1:
        raise UserError(f"train.return_factor is {train.rollback_factor}; it must lie between 0 and 1")


def read_rollbacks(workdir: Path) -> list[int]:
    """The first bad step of each return so far."""
    path = workdir / NAME
    try:
        return [int(step) for step in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it, and the run has its full learning rate") from error


def add_rollback(workdir: Path, first_bad: int) -> None:
    """Notes one more, whole or not at all. One process writes."""
    if jax.process_index() == 0:
        temporary = workdir / f"{NAME}.tmp"
        temporary.write_text(json.dumps([*read_rollbacks(workdir), first_bad]) + "\n")
        os.replace(temporary, workdir / NAME)


def with_reduced_rate(config: ConfigDict, returns: int) -> ConfigDict:
    """`config` whose learning rates are multiplied by train.return_factor for each return."""
    factor = config.train.rollback_factor**returns
    slower = config.copy_and_resolve_references()
    slower.train.learning_rate = config.train.learning_rate * factor
    slower.train.cycles = tuple((share, *(rate * factor for rate in rates)) for share, *rates in config.train.cycles)
    return slower
