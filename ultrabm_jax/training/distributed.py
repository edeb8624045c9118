"""Runs in several processes: initialisation, barriers and agreement between processes.

config.distributed.coordinator selects the initialisation:

    ""          $ULTRABM_COORDINATOR, $ULTRABM_PROCESSES and $ULTRABM_PROCESS if set, otherwise one process
    auto        detected by jax.distributed: SLURM, Open MPI, Kubernetes, Cloud TPU
    HOST:PORT   of the first process, with config.distributed.processes and .process

Clusters are not detected without "auto", because a job in a SLURM allocation may be intended to run as one process.
Call `initialize_distributed` before anything queries JAX for its devices.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import jax
import numpy as np
from ml_collections import ConfigDict
from orbax.checkpoint.multihost import get_barrier_sync_fn

from ultrabm_jax.errors import UserError
from ultrabm_jax.logging import logger

T = TypeVar("T")

AUTO = "auto"
BARRIER_TIMEOUT_S = 1800  # how long processes wait for the slowest one to start, compile or read
COPY_TIMEOUT_S = 24 * 3600  # the same, if it may have to copy data from an object store


def initialize_distributed(distributed: ConfigDict) -> None:
    """Joins this process to a run of several, if config.distributed or the environment requests it.

    Raises UserError if their settings are incomplete or the processes cannot connect.
    """
    cluster = _cluster_settings(distributed)
    if cluster is None:
        return
    coordinator, processes, process = cluster
    try:
        if coordinator == AUTO:
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(coordinator, processes, process, cluster_detection_method="deactivate")
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"the processes of the run could not connect: {str(error).splitlines()[0]}") from error


def _cluster_settings(distributed: ConfigDict) -> tuple[str, int, int] | None:
    """(coordinator, number of processes, index of this one), or None for a run in one process."""
    coordinator, processes, process = (distributed[name] for name in ("coordinator", "processes", "process"))
    if not coordinator:
        coordinator = os.environ.get("ULTRABM_COORDINATOR", "")
        processes, process = _int_from_environment("ULTRABM_PROCESSES"), _int_from_environment("ULTRABM_PROCESS")
    if not coordinator:
        return None
    if coordinator == AUTO:
        return AUTO, 0, 0
    if not 0 <= process < processes:
        raise UserError(
            f"distributed: coordinator {coordinator} needs the number of processes and the index of this one, from 0; "
            f"got processes={processes} and process={process}"
        )
    return coordinator, processes, process


def _int_from_environment(name: str) -> int:
    text = os.environ.get(name, "-1")
    try:
        return int(text)
    except ValueError:
        raise UserError(f"${name} is {text!r}; it must be a number") from None


def sync_processes(*, timeout_s: int = BARRIER_TIMEOUT_S) -> None:
    """Waits for all processes. Call it after work whose duration differs between processes, such as compiling.

    On CPUs the first collective has a deadline of 30 s (Gloo's set-up), so the processes first wait for each other
    through the coordinator.
    """
    if jax.process_count() > 1:
        get_barrier_sync_fn()(key="sync_processes", timeout_ms=1000 * timeout_s)
        allgather(np.zeros(1, np.int32))


def allgather(values: np.ndarray) -> np.ndarray:
    """(processes, ...): the values of each process, on every process."""
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(process_allgather(values)) if jax.process_count() > 1 else values[None]


def allgather_bytes(data: bytes) -> list[bytes]:
    """The bytes of each process, on every process."""
    lengths = allgather(np.array([len(data)], np.int32)).ravel()
    padded = np.zeros(int(lengths.max()), np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    return [row[:n].tobytes() for row, n in zip(allgather(padded), lengths, strict=True)]


def broadcast_flag(value: bool) -> bool:
    """The value of the first process, in all processes."""
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


def on_main_process(action: Callable[[], T]) -> T | None:
    """Calls `action` in the first process; returns None in the others. If it raises UserError, all processes do."""
    error: UserError | None = None
    result: T | None = None
    if jax.process_index() == 0:
        try:
            result = action()
        except UserError as raised:
            error = raised
    if broadcast_flag(error is not None):
        raise error or UserError("the first process failed; see its log")
    return result
