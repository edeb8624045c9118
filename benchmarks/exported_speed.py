"""Speed of exported networks in ONNX Runtime and OpenVINO, compared with the jitted network:

    python benchmarks/exported_speed.py [sci zero_dce red] [--size 96x128] [--rounds 15]

Each engine runs the same image in float32 with its default number of threads, in one process; the engines take turns.
The table has the median and, in brackets, the fastest of `--rounds` rounds after two that do not count (on a busy
machine the fastest is closer to an idle one), and the largest difference of an engine's output from the network's.
Needs the extra `onnx` and jax2onnx (docs/export.md).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import side_by_side
from benchmarks.common.side_by_side import Candidate, JaxProgram
from ultrabm_jax.export.__main__ import parse_size
from ultrabm_jax.export.difference import example_images, largest_difference
from ultrabm_jax.export.onnx_file import ENGINES, Size, onnx_program
from ultrabm_jax.export.source import open_source


def measure(name: str, size: Size, rounds: int) -> str:
    """One row of the table."""
    source = open_source(name)
    task, model = source.task, onnx_program(source, size)
    image = example_images(task, 1, size)
    engines = {engine: load(model) for engine, load in ENGINES.items()}
    difference = max(largest_difference(engine, task, source.variables, image) for engine in engines.values())
    ours = JaxProgram(lambda v, low: task.restore(v, {"low": low}), task.prepare(source.variables), image)
    candidates: dict[str, Candidate] = {"ours": ours}
    candidates |= {engine: lambda run=run: run(image) for engine, run in engines.items()}
    seconds = side_by_side.timed(candidates, rounds).values()
    times = [f"{1e3 * statistics.median(values):.1f} ({1e3 * min(values):.1f})" for values in seconds]
    return "| " + " | ".join([name, *times, f"{difference:.1e}"]) + " |"


def main() -> None:
    """Prints a table with one row for each model."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("models", nargs="*", default=["sci", "zero_dce", "red"], help="as of `ultrabm-jax export`")
    flags.add_argument("--size", default="96x128", metavar="HxW")
    flags.add_argument("--rounds", type=int, default=15)
    args = flags.parse_args()
    size = parse_size(args.size)
    if size is None:
        flags.error("--size is HxW")
    print(side_by_side.heading(threads=len(os.sched_getaffinity(0))))
    packages = {"jax2onnx": "jax2onnx", "ONNX Runtime": "onnxruntime", "OpenVINO": "openvino"}
    print(", ".join(f"{name} {version(package)}" for name, package in packages.items()))
    print(f"load average {os.getloadavg()[0]:.1f}; milliseconds: median (fastest)\n")
    print(f"| {size[0]}x{size[1]} | ours, jitted | {' | '.join(ENGINES)} | largest difference |")
    print("|---" * (3 + len(ENGINES)) + "|")
    for name in args.models:
        print(measure(name, size, args.rounds), flush=True)


if __name__ == "__main__":
    main()
