"""What the benchmarks that set a network beside a peer have in common: turns, memory, and a heading that says where."""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax

HAS_TORCH = importlib.util.find_spec("torch") is not None
SMALL = "32x32"  # a size that loads libraries and weights and computes next to nothing
StepHooks = Callable[[], Any]
Name = TypeVar("Name", bound=Hashable)


def medians(turns: Mapping[Name, StepHooks], rounds: int, *, warm_up: int = 2) -> dict[Name, float]:
    """Seconds of each, taking turns, after `warm_up` rounds that do not count."""
    seconds: dict[Name, list[float]] = {name: [] for name in turns}
    for _ in range(warm_up + rounds):
        for name, turn in turns.items():
            begin = time.perf_counter()
            turn()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values[warm_up:]) for name, values in seconds.items()}


def peak_memory(make: Callable[[str], StepHooks], size: str, *, of_gpu: Callable[[], int]) -> int:
    """Bytes that `make(size)()` takes at most, in a process of its own.

    On a CPU what the process grows by, beyond its libraries and weights; on a GPU what `of_gpu` says.
    """
    make(SMALL)()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    before = pages * resource.getpagesize()
    make(size)()
    if jax.default_backend() == "gpu":
        return of_gpu()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def peak_of_jax() -> int:
    """Bytes, on a GPU."""
    return jax.devices()[0].memory_stats()["peak_bytes_in_use"]


def heading(*, threads: int) -> str:
    """The command, the day, the device and the versions; sets PyTorch's threads."""
    versions = f"Python {platform.python_version()}, jax {jax.__version__}"
    if HAS_TORCH:
        import torch

        torch.set_num_threads(threads)
        versions += f", torch {torch.__version__}, {threads} threads"
    command = " ".join([Path(sys.argv[0]).as_posix(), *sys.argv[1:]])
    device, cores = jax.devices()[0].device_kind, len(os.sched_getaffinity(0))
    return f"`python {command}`\n\n{datetime.date.today()}; {device}, {cores} cores; {versions}\n"
