"""Time of restoring twenty images of different sizes, compared with twenty images of one size:

    python benchmarks/image_sizes.py [--models ultrabm lw_drgn] [--separately]

Each row is a process of its own with an empty compilation cache, from its start to its last image: import, weights,
compilation and restoring. The sizes are random, uniform from 120x160 to 240x320 pixels; the images of one size have the
mean height and width, and so the mean number of pixels, up to 2 %. `--separately` also compiles every size by itself
(`Restorer(exact=True)`), which takes many minutes, and prints the largest difference between the outputs. Weights are
random, which does not affect the time.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

if TYPE_CHECKING:
    from ultrabm_jax.inference.canvases import Size
    from ultrabm_jax.models.task import Task
    from ultrabm_jax.typing import Variables

OPTIONS: dict[str, dict[str, object]] = {
    "ultrabm": {"variant": "small", "semantic": "none", "scale": 2},
    "lw_drgn": {},
    "lolisrflow": {"variant": "small", "scale": 2},
    "zero_dce": {},
}
SMALLEST, LARGEST = (120, 160), (240, 320)
MODES = ("equal", "different", "separately")


def sizes_of(mode: str, count: int) -> list[Size]:
    """Heights and widths of the images."""
    rng = np.random.default_rng(0)
    sides = [rng.integers(low, high + 1, count) for low, high in zip(SMALLEST, LARGEST, strict=True)]
    if mode == "equal":
        sides = [np.full(count, round(side.mean())) for side in sides]
    return [(int(height), int(width)) for height, width in zip(*sides, strict=True)]


def random_variables(task: Task) -> Variables:
    """Normal values that keep the scale of the signal; drawn by NumPy, which compiles nothing."""
    import jax

    def fill(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 100
        return np.random.default_rng(leaf.shape).normal(0, fan_in**-0.5, leaf.shape).astype(leaf.dtype)

    return jax.tree.map(fill, jax.eval_shape(task.model.init, jax.random.key(0), task.example_input()))


def restore(name: str, mode: str, count: int, output: Path) -> None:
    """What one process does: restores the images and saves the results."""
    from ultrabm_jax.inference.restorer import Restorer
    from ultrabm_jax.models import create_task

    task = create_task(name, **OPTIONS[name])
    restorer, sizes = Restorer(task, random_variables(task), exact=mode == "separately"), sizes_of(mode, count)
    restorer.expect(sizes)
    rng, results = np.random.default_rng(1), []
    for size in sizes:
        low = rng.beta(1, 9, (*size, task.channels)).astype(np.float32)
        start = time.perf_counter()
        results.append(restorer(low))
        print(f"  {size[0]}x{size[1]}: {time.perf_counter() - start:.2f} s", file=sys.stderr, flush=True)
    np.savez(output, *results)


@dataclasses.dataclass(frozen=True)
class Run:
    """One process."""

    seconds: float
    processor_seconds: float  # of all cores, which other programs of the machine disturb less
    images: list[np.ndarray]


def measure(name: str, mode: str, count: int, folder: Path) -> Run:
    """Restores the images in a process of its own."""
    output, cache = folder / f"{name}_{mode}.npz", folder / f"cache_{name}_{mode}"
    command = [sys.executable, __file__, "--child", name, mode, str(output), "--count", str(count)]
    start, before = time.perf_counter(), processor_seconds()
    subprocess.run(command, env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}, check=True)
    seconds = time.perf_counter() - start
    with np.load(output) as arrays:
        return Run(seconds, processor_seconds() - before, [arrays[key] for key in arrays.files])


def processor_seconds() -> float:
    """User and system time of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Prints one row for each model."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--models", nargs="+", choices=OPTIONS, default=["ultrabm", "lw_drgn"])
    flags.add_argument("--count", type=int, default=20, help="images (default: 20)")
    flags.add_argument("--separately", action="store_true", help="also compile every size by itself, and compare")
    flags.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = flags.parse_args()
    if args.child:
        name, mode, output = args.child
        restore(name, mode, args.count, Path(output))
        return
    print("Wall-clock seconds; processor seconds in brackets.\n")
    print("| network | one size | different sizes | ratio | compiled separately | largest difference |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in args.models:
        with tempfile.TemporaryDirectory() as folder:
            modes = MODES if args.separately else MODES[:2]
            runs = {mode: measure(name, mode, args.count, Path(folder)) for mode in modes}
        shown = {mode: f"{run.seconds:.1f} ({run.processor_seconds:.1f})" for mode, run in runs.items()}
        equal, different = runs["equal"], runs["different"]
        wall, processor = different.seconds / equal.seconds, different.processor_seconds / equal.processor_seconds
        row = [name, shown["equal"], shown["different"], f"**{wall:.2f}** ({processor:.2f})", "", ""]
        if args.separately:
            pairs = zip(different.images, runs["separately"].images, strict=True)
            row[-2:] = [shown["separately"], f"{max(np.abs(a - b).max() for a, b in pairs):.1e}"]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
