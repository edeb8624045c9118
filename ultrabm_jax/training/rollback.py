"""Rollbacks (train.on_nonfinite="rollback").

After too many consecutive non-finite steps, training restarts from the checkpoint before the first of them with a
smaller learning rate. workdir/rollbacks.json lists the rollbacks, so a run that is killed and restarted keeps its
learning rate.
"""

from __future__ import annotations

import json

import jax
from ml_collections import ConfigDict

from ultrabm_jax.buckets import AnyPath, replace_text
from ultrabm_jax.errors import UserError

NAME = "rollbacks.json"
OLD_NAME = "returns.json"  # written by earlier releases
CHOICES = ("stop", "rollback")


def check_on_nonfinite(train: ConfigDict) -> None:
    """Raises UserError if config.train holds an unknown policy or an invalid factor."""
    if train.on_nonfinite not in CHOICES:
        raise UserError(f"unknown train.on_nonfinite {train.on_nonfinite!r}; known: {', '.join(CHOICES)}")
    if not 0 < train.rollback_factor < 1:
        raise UserError(f"train.rollback_factor is {train.rollback_factor}; it must lie between 0 and 1")


def read_rollbacks(workdir: AnyPath) -> list[int]:
    """The first non-finite step of each rollback so far."""
    path = workdir / NAME
    if not path.exists() and (workdir / OLD_NAME).exists():
        path = workdir / OLD_NAME
    try:
        return [int(step) for step in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it to train with the full learning rate") from error


def add_rollback(workdir: AnyPath, first_nonfinite: int) -> None:
    """Appends the first non-finite step of a rollback, atomically. Only the first process writes."""
    if jax.process_index() == 0:
        replace_text(workdir / NAME, json.dumps([*read_rollbacks(workdir), first_nonfinite]) + "\n")


def with_reduced_rate(config: ConfigDict, rollbacks: int) -> ConfigDict:
    """`config` whose learning rates are multiplied by train.rollback_factor once per rollback."""
    factor = config.train.rollback_factor**rollbacks
    slower = config.copy_and_resolve_references()
    slower.train.learning_rate = config.train.learning_rate * factor
    slower.train.cycles = tuple((share, *(rate * factor for rate in rates)) for share, *rates in config.train.cycles)
    return slower
