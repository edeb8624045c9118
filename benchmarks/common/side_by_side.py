"""Shared by the benchmarks that compare a network with PyTorch: interleaved timing, peak memory, heading of tables."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypeAlias, TypedDict, TypeVar

import jax
import numpy as np

from benchmarks.common.process_memory import peak_bytes, resident_bytes

if TYPE_CHECKING:
    import torch

    from ultrabm_jax.typing import Variables

HAS_TORCH = importlib.util.find_spec("torch") is not None
SMALL = "32x32"  # a size that loads libraries and weights and computes almost nothing
Candidate: TypeAlias = Callable[[], object]  # a call to be timed
Name = TypeVar("Name", bound=Hashable)


class Row(TypedDict):
    """The measurements of one size and compute type."""

    size: str
    dtype: str
    compile_seconds: float  # of ours
    seconds: dict[str, float]  # candidate: median
    extremes: NotRequired[dict[str, tuple[float, float]]]  # candidate: fastest and slowest round
    model: NotRequired[str]
    difference: NotRequired[float]  # largest difference between our output and PyTorch's
    largest: NotRequired[float]  # largest value of PyTorch's output
    blocks: NotRequired[dict[str, dict[str, float]]]  # candidate: block: median seconds
    peak: NotRequired[dict[str, int]]  # candidate: bytes


class JaxProgram:
    """A jitted network on one image (1, h, w, c); a call runs it and waits for the device."""

    def __init__(self, apply: Callable[[Variables, jax.Array], jax.Array], variables: Variables, image: np.ndarray):
        self.variables, self.image = jax.device_put(variables), jax.device_put(image)
        begin = time.perf_counter()
        self.program = jax.jit(apply).lower(self.variables, self.image).compile()
        self.compile_seconds = time.perf_counter() - begin

    def __call__(self) -> jax.Array:
        return jax.block_until_ready(self.program(self.variables, self.image))


class TorchPeer:
    """A PyTorch network on one image (1, h, w, c); a call runs it and waits for the device."""

    def __init__(
        self,
        forward: Callable[[torch.Tensor], torch.Tensor],
        image: np.ndarray,
        dtype: str,
        *,
        device: str,
        compiled: bool,
    ):
        import torch

        self.torch = torch
        self.run = torch.compile(forward) if compiled else forward
        self.image = torch.from_numpy(image.transpose(0, 3, 1, 2)).to(device=device, dtype=getattr(torch, dtype))

    def __call__(self) -> torch.Tensor:
        with self.torch.inference_mode():
            return self.wait(self.run(self.image))

    def output(self) -> np.ndarray:
        """The output as float32 (1, h, w, c)."""
        return self().float().cpu().numpy().transpose(0, 2, 3, 1)

    def wait(self, out: torch.Tensor) -> torch.Tensor:
        """`out` once it is computed."""
        if out.is_cuda:
            self.torch.cuda.synchronize()
        return out


def add_flags(parser: argparse.ArgumentParser, *, sizes: Sequence[str], size_help: str) -> None:
    """The flags that these benchmarks share."""
    parser.add_argument("--sizes", nargs="+", default=list(sizes), help=size_help)
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--calls",
        type=int,
        default=1,
        help="of a candidate in a row in each round; of several, the first does not count: it finds cold caches and"
        " threads of the other candidate that still wait for work",
    )
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of PyTorch, on a CPU")
    parser.add_argument("--no-memory", action="store_true", help="skip peak memory, which needs further processes")
    parser.add_argument("--alone", choices=["ours", "peer"], help=argparse.SUPPRESS)


def torch_device() -> str:
    """The PyTorch device that corresponds to JAX's."""
    return "cuda" if jax.default_backend() == "gpu" else "cpu"


def medians(
    candidates: Mapping[Name, Candidate], rounds: int, *, calls: int = 1, warm_up: int = 2
) -> dict[Name, float]:
    """Median seconds of each candidate. They take turns in each round; `warm_up` further rounds do not count."""
    return summarise(timed(candidates, rounds, calls=calls, warm_up=warm_up))[0]


def summarise(times: Mapping[Name, Sequence[float]]) -> tuple[dict[Name, float], dict[Name, tuple[float, float]]]:
    """({candidate: median}, {candidate: (fastest, slowest)}) of the seconds that `timed` returns."""
    middle = {name: statistics.median(values) for name, values in times.items()}
    return middle, {name: (min(values), max(values)) for name, values in times.items()}


def timed(
    candidates: Mapping[Name, Candidate], rounds: int, *, calls: int = 1, warm_up: int = 2
) -> dict[Name, list[float]]:
    """Seconds per call of each candidate in each round, as `medians` runs them.

    Of several `calls` in a row, the first does not count.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in candidates}
    counted = max(1, calls - 1)
    for _ in range(warm_up + rounds):
        for name, candidate in candidates.items():
            for _ in range(calls - counted):
                candidate()
            begin = time.perf_counter()
            for _ in range(counted):
                candidate()
            seconds[name].append((time.perf_counter() - begin) / counted)
    return {name: values[warm_up:] for name, values in seconds.items()}


def print_peak(options: argparse.Namespace, ours: Callable[[str], Candidate], peer: Callable[[str], Candidate]) -> None:
    """Prints the peak memory in bytes of `ours(size)()` or `peer(size)()`, as `peaks_in_subprocesses` reads it."""
    make = {"ours": ours, "peer": peer}[options.alone]
    print(json.dumps(_peak_memory(options.alone, make, options.sizes[0], threads=options.threads)))


def _peak_memory(which: str, make: Callable[[str], Candidate], size: str, *, threads: int) -> int:
    """Peak memory in bytes of `make(size)()`, in a process that measures nothing else.

    On a CPU, the growth of the process beyond its libraries and weights; on a GPU, what the allocator reports.
    """
    if which == "peer":
        import torch

        torch.set_num_threads(threads)
    make(SMALL)()
    before = resident_bytes()
    make(size)()
    if jax.default_backend() != "gpu":
        return peak_bytes() - before
    if which == "peer":
        return int(torch.cuda.max_memory_allocated())
    return int(jax.devices()[0].memory_stats()["peak_bytes_in_use"])


def peaks_in_subprocesses(script: str, row: Row, arguments: Sequence[str], *, threads: int) -> dict[str, int]:
    """{candidate: peak memory in bytes}, each measured by a separate process `script --alone ...`."""
    peaks = {}
    for name, which in {"ours": "ours", **({"torch": "peer"} if HAS_TORCH else {})}.items():
        command = [sys.executable, script, "--alone", which, "--sizes", row["size"], "--dtypes", row["dtype"]]
        command += ["--threads", str(threads), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[name] = int(done.stdout.splitlines()[-1])
    return peaks


def gib(row: Row, name: str) -> str:
    """The peak memory of a candidate for a table, "" if it was not measured."""
    peak = row.get("peak", {}).get(name)
    return "" if peak is None else f"{peak / 2**30:.2f}"


def candidate_cells(row: Row, *, rate: bool = False) -> Iterator[list[str]]:
    """The cells of each candidate.

    Its name, milliseconds (fastest to slowest), PyTorch's time over its own, images per second (`rate`), peak GiB.
    """
    first = row["seconds"].get("torch", row["seconds"]["ours"])
    for name, seconds in row["seconds"].items():
        rates = [f"{1 / seconds:.2f}"] if rate else []
        spread = [f"{1e3 * value:.1f}" for value in row.get("extremes", {}).get(name, ())]
        time_cell = f"{1e3 * seconds:.1f}" + (f" ({' to '.join(spread)})" if spread else "")
        yield [name, time_cell, f"{first / seconds:.2f}", *rates, gib(row, name)]


def network_table(rows: Sequence[Row]) -> list[str]:
    """The lines of a Markdown table with a line for each network, size, compute type and candidate."""
    lines = ["| network | image | type | | ms | ratio | peak GiB |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        for cells in candidate_cells(row):
            lines.append(f"| {row['model']} | {row['size']} | {row['dtype']} | {' | '.join(cells)} |")
    return lines


def notes(rows: Sequence[Row]) -> list[str]:
    """For each network, size and type: the time to compile and the difference between the outputs."""
    lines = []
    for row in rows:
        note = f"{row['model']} {row['size']} {row['dtype']}: compiled in {row['compile_seconds']:.1f} s"
        if "difference" in row:
            note += f"; outputs differ by at most {row['difference']:.1e}, the largest is {row['largest']:.2f}"
        lines += ["", f"{note}."]
    return lines


def heading(*, threads: int) -> str:
    """Command, date, device and versions; also sets the number of PyTorch's threads."""
    versions = f"Python {platform.python_version()}, jax {jax.__version__}"
    if HAS_TORCH:
        import torch

        torch.set_num_threads(threads)
        versions += f", torch {torch.__version__}, {threads} threads"
    command = " ".join([Path(sys.argv[0]).as_posix(), *sys.argv[1:]])
    device, cores = jax.devices()[0].device_kind, len(os.sched_getaffinity(0))
    return f"`python {command}`\n\n{datetime.date.today()}; {device}, {cores} cores; {versions}\n"
