"""Speed and memory of training steps compared with PyTorch eager:

    python benchmarks/training_speed.py --peer-python PYTHON [--cases ultrabm_small:4x48 lw_drgn:4x64] [--rounds 9]

Each case is NAME:BATCHxPATCH. Both sides start from the same weights and train on the same batch with the same losses,
the same clipping of gradients and the same optimiser; ours is the compiled step of train.py, PyTorch's the graphs of
benchmarks/peers (channels last, fused Adam). Mixup, flips and the moving average of the parameters are off on both
sides. Ours also checks that the losses are finite and computes the gradient's norm, as PyTorch's clipping does.
Ours has huge pages, as train.py gives them to itself (ultrabm_jax/huge_pages.py), PyTorch what it has by default. Set
GLIBC_TUNABLES to glibc.malloc.hugetlb=1 or =0 to give both the same. With --devices 2, a further row has ours with the
batch split over two CPU devices, as train.py with JAX_NUM_CPU_DEVICES=2; the batch must be divisible.

Each side is a process of its own, bound to the same cores; the two take turns, one step each. --peer-python is the
Python of an environment with torch and numpy; by default this one. The table has the median of the wall-clock time with
the fastest and the slowest step, the median of the processor time of all threads, which other programs on the machine
affect less, the peak of the resident memory during the steps, and the seconds from the start of the process to the end
of the first step, which includes imports and compiling (no compilation cache). The columns `cached` have the peak and
these seconds of a further process that reads the compiled program from the compilation cache. The losses of the first
three steps are compared and must agree to 1e-3.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.training.cases import DEFAULT_CASES, NAMES, Case, config_of, make_case
from ultrabm_jax.huge_pages import huge_page_variables

WORKER = Path(__file__).resolve().parent / "training" / "worker.py"
COMPARED_STEPS, TOLERANCE = 3, 1e-3
WARM_UP = 2


class Side:
    """A worker process: benchmarks/training/worker.py."""

    def __init__(self, name: str, python: str, file: Path, *, devices: int = 1, cache: Path | None = None):
        self.begin = time.perf_counter()
        environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
        if devices > 1:
            environment["JAX_NUM_CPU_DEVICES"] = str(devices)
        if name == "ours":
            environment |= huge_page_variables()
        if cache is not None:
            environment["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        command = [python, str(WORKER), name, str(file)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.steps: list[dict] = []
        self.cached: Side | None = None
        self.step()
        self.first_seconds = time.perf_counter() - self.begin
        self._send("reset")

    def step(self) -> None:
        """One training step."""
        self._send("step")
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args)} ended with {self.process.wait()}")
        self.steps.append(json.loads(line))

    @property
    def peak(self) -> float:
        """Peak memory of the steps after the warm-up, in GiB."""
        return max(self.values("peak")) / 2**30

    def median(self, key: str) -> float:
        """Median of the steps after the warm-up."""
        return statistics.median(self.values(key))

    def values(self, key: str) -> list[float]:
        return [step[key] for step in self.steps[1 + WARM_UP :]]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def _send(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


def measure(case: Case, options: argparse.Namespace) -> dict[str, Side]:
    """Runs both sides of a case in turns."""
    from ultrabm_jax.methods import create_method

    arrays, settings = make_case(case, create_method(config_of(case.name)))
    settings |= {"name": case.name, "size": case.size, "threads": options.threads}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "case.npz"
        np.savez(file, settings=json.dumps(settings), **arrays)
        sides = {"ours": Side("ours", sys.executable, file)}
        sides |= {f"ours, {n} devices": Side("ours", sys.executable, file, devices=n) for n in options.devices}
        if not options.no_peer:
            sides["torch"] = Side("torch", options.peer_python, file)
        for _ in range(WARM_UP + options.rounds):
            for side in sides.values():
                side.step()
        for side in sides.values():
            side.close()
        if not options.no_cache:
            sides["ours"].cached = from_cache(file, Path(folder) / "cache")
    return sides


def from_cache(file: Path, cache: Path) -> Side:
    """Ours in a process that reads the compiled program from the compilation cache, which another one has filled."""
    for _ in ("fills the cache", "reads it"):
        side = Side("ours", sys.executable, file, cache=cache)
        for _ in range(WARM_UP + 1):
            side.step()
        side.close()
    return side


def compare(case: Case, sides: dict[str, Side]) -> str:
    """The largest relative difference between the losses of the first steps of the last side and of the others.

    Raises SystemExit if it is too large.
    """
    *others, last = sides.values()
    worst, which = 0.0, ""
    for side in others:
        for ours, theirs in zip(side.steps[:COMPARED_STEPS], last.steps[:COMPARED_STEPS], strict=True):
            for name, value in theirs["losses"].items():
                difference = abs(ours["losses"][name] - value) / max(abs(value), 1e-6)
                if difference >= worst:
                    worst, which = difference, name
    terms = ", ".join(last.steps[0]["losses"])
    line = f"{case.name} {case.size}: {terms} of {COMPARED_STEPS} steps differ by at most {worst:.1e} ({which})"
    if not worst <= TOLERANCE:
        raise SystemExit(f"{line}: the two sides do not compute the same")
    return line


def row(case: Case, name: str, sides: dict[str, Side]) -> str:
    """One line of the table."""
    side, first = sides[name], list(sides.values())[-1]
    milliseconds = [1e3 * value for value in side.values("seconds")]
    ratio = first.median("seconds") / side.median("seconds")
    cached = (f"{side.cached.peak:.2f}", f"{side.cached.first_seconds:.1f}") if side.cached else ("", "")
    return (
        f"| {case.name} | {case.size} | {name} | {statistics.median(milliseconds):.0f} "
        f"({min(milliseconds):.0f} to {max(milliseconds):.0f}) | {ratio:.2f} "
        f"| {1e3 * side.median('cpu'):.0f} | {first.median('cpu') / side.median('cpu'):.2f} "
        f"| {side.peak:.2f} | {cached[0]} | {side.first_seconds:.1f} | {cached[1]} |"
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--cases", nargs="+", default=DEFAULT_CASES, metavar="NAME:BATCHxPATCH", help=", ".join(NAMES))
    flags.add_argument("--peer-python", default=sys.executable, help="a Python with torch")
    flags.add_argument("--no-peer", action="store_true", help="time ours alone")
    flags.add_argument("--no-cache", action="store_true", help="skip the columns `cached`")
    flags.add_argument("--devices", nargs="+", type=int, default=[], metavar="N", help="also ours on N CPU devices")
    flags.add_argument("--rounds", type=int, default=9)
    flags.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="and cores")
    return flags


def heading(options: argparse.Namespace) -> str:
    """Command, date, machine and versions."""
    import jax

    versions = f"Python {platform.python_version()}, jax {jax.__version__}"
    if not options.no_peer:
        print_version = [options.peer_python, "-c", "import torch; print(torch.__version__)"]
        versions += (
            f", torch {subprocess.run(print_version, check=True, capture_output=True, text=True).stdout.strip()}"
        )
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    command = " ".join([Path(sys.argv[0]).as_posix(), *sys.argv[1:]])
    return f"`python {command}`\n\n{datetime.date.today()}; {options.threads} threads; {load}; {versions}\n"


def main() -> None:
    options = parser().parse_args()
    print(heading(options), flush=True)
    rows, notes = [], []
    for text in options.cases:
        case = Case(*text.split(":"))
        sides = measure(case, options)
        rows += [row(case, name, sides) for name in sides]
        print("\n".join(rows[-len(sides) :]), file=sys.stderr, flush=True)
        if len(sides) > 1:
            notes.append(compare(case, sides))
    print("| network | batch | | ms | ratio | CPU ms | CPU ratio | peak GiB | cached | first step s | cached |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print("\n" + "\n".join([*(f"{name}: {NAMES[name]}" for name in NAMES), *notes]))


if __name__ == "__main__":
    main()
