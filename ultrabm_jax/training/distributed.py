"""One run in several processes: how they find each other, and what they agree on.

config.distributed.coordinator says how:

    ""          one process, or as many as $ULTRABM_COORDINATOR, $ULTRABM_PROCESSES and $ULTRABM_PROCESS say
    auto        what jax.distributed finds by itself: SLURM, Open MPI, Kubernetes, Cloud TPU
    HOST:PORT   of the first process, with config.distributed.processes and .process

It is never found out without being asked: a job within a SLURM allocation may well want to run alone. Before anything
has asked JAX for its devices, `initialize_distributed` has to be called.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from orbax.checkpoint.multihost import get_barrier_sync_fn

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger

AUTO = "auto"
BARRIER_TIMEOUT_S = 1800  # seconds that processes wait for the slowest to start, to compile or to read


def initialize_distributed(distributed: ConfigDict) -> None:
    """Makes this process one of several, if config.distributed or the environment say so.

    Raises UserError if they say so by half.
    """
    chosen = _choose(distributed)
    if chosen is None:
        return
    coordinator, processes, process = chosen
    try:
        if coordinator == AUTO:
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(coordinator, processes, process, cluster_detection_method="deactivate")
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"the processes of the run could not connect: {str(error).splitlines()[0]}") from error


def _choose(distributed: ConfigDict) -> tuple[str, int, int] | None:
    """(coordinator, processes, number of this one); None for a run in one process."""
    coordinator, processes, process = (distributed[name] for name in ("coordinator", "processes", "process"))
    if not coordinator:
        coordinator = os.environ.get("ULTRABM_COORDINATOR", "")
        processes, process = _number("ULTRABM_PROCESSES"), _number("ULTRABM_PROCESS")
    if not coordinator:
        return None
    if coordinator == AUTO:
        return AUTO, 0, 0
    if not 0 <= process < processes:
        raise UserError(
            f"distributed: coordinator {coordinator} needs the number of processes and of this one, from 0 on; there "
            f"are processes={processes} and process={process}"
        )
    return coordinator, processes, process


def _number(name: str) -> int:
    text = os.environ.get(name, "-1")
    try:
        return int(text)
    except ValueError:
        raise UserError(f"${name} is {text!r}; it must be a number") from None


def sync_processes() -> None:
    """Waits for all processes. To be called before what each of them comes to at another time: a program that has been
    compiled, images that are read. On CPUs the devices' own first meeting has a deadline of 30 s (Gloo's set-up), so
    the processes wait for each other first, by way of the coordinator."""
    if jax.process_count() > 1:
        get_barrier_sync_fn()(key="sync_processes", timeout_ms=1000 * BARRIER_TIMEOUT_S)
        allgather(np.zeros(1, np.int32))


def allgather(values: np.ndarray) -> np.ndarray:
    """(processes, ...): the values of each process, on every process."""
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(values)) if jax.process_count() > 1 else values[None]


def broadcast_flag(value: bool) -> bool:
    """What the first process says, in all."""
    return bool(allgather(np.array([value]))[0, 0])


@contextlib.contextmanager
def log_on_main_process() -> Iterator[None]:
    """Silences the package's logger, except for errors, in all processes but the first."""
    level = logger.level
    if jax.process_index() > 0:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def on_main_process(action: Callable[[], Any]) -> Any:
    """`action` in the first process; None in the others. If it raises UserError there, all end with one."""
    error, result = None, None
    if jax.process_index() == 0:
        try:
            result = action()
        except UserError as raised:
            error = raised
    if broadcast_flag(error is not None):
        raise error or UserError("the first process could not go on; its log says why")
    return result
