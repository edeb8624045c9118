"""Images per second of `python -m ultrabm_jax.detection`, one at a time, in parallel threads and in batches:

    python benchmarks/detection_speed.py --detector nanodet_coco.onnx --images DIR [--count 100] [--batch 8]

Reading, resizing, the network and suppression are measured. ONNX Runtime uses one thread per run. Batches are measured
if the batch size of the file is free; a file with a fixed one is run in threads. The candidates take turns; rates are
medians over the rounds. Processor time is that of all threads, which depends less on other programs on the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from ultrabm_jax.detection import Detections, Detector, read_description
from ultrabm_jax.detection.methods import detect
from ultrabm_jax.image import read_size
from ultrabm_jax.metrics.folders import list_images


def parser() -> argparse.ArgumentParser:
    """The command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--detector", required=True, help="ONNX file")
    flags.add_argument("--description", default="nanodet")
    flags.add_argument("--images", required=True, help="folder, searched recursively")
    flags.add_argument("--count", type=int, default=100)
    flags.add_argument("--batch", type=int, default=8)
    flags.add_argument("--rounds", type=int, default=3)
    return flags


def main() -> None:
    """Prints a table."""
    args = parser().parse_args()
    description = read_description(args.description)
    paths = dict(list(list_images(args.images).items())[: args.count])
    sizes = {name: read_size(path) for name, path in paths.items()}
    own = Detector(args.detector, description, threads=1)
    cores = os.cpu_count() or 1

    def candidate(batch: int, workers: int) -> Callable[[], list[Detections]]:
        return lambda: list(detect(own, paths, list(paths), sizes, batch=batch, workers=workers))

    candidates = {"one at a time": candidate(1, 1), f"one at a time, {cores} threads": candidate(1, cores)}
    if own.batch is None:
        candidates[f"batches of {args.batch}"] = candidate(args.batch, 1)
        candidates[f"batches of {args.batch}, {cores} threads"] = candidate(args.batch, cores)
    found = dict[str, list[Detections]]()
    rates, cpu = ({name: list[float]() for name in candidates} for _ in range(2))
    for name in list(candidates) * args.rounds:
        started, used = time.perf_counter(), time.process_time()
        found[name] = candidates[name]()
        rates[name].append(len(paths) / (time.perf_counter() - started))
        cpu[name].append((time.process_time() - used) / len(paths))
        print(f"{name}: {rates[name][-1]:.2f} images/s, {1000 * cpu[name][-1]:.0f} ms", file=sys.stderr, flush=True)
    first, *_, last = found.values()
    same = [len(a.scores) == len(b.scores) for a, b in zip(first, last, strict=True)]
    difference = max(
        float(np.abs(a.scores - b.scores).max(initial=0))
        for a, b, equal in zip(first, last, same, strict=True)
        if equal
    )
    print(f"{len(paths)} images; {sum(same)} with equally many boxes, their scores differ by at most {difference:.1e}")
    print("| | images/s (slowest to fastest round) | processor ms per image |\n|---|---|---|")
    for name, measured in rates.items():
        rate = f"{statistics.median(measured):.1f} ({min(measured):.1f} to {max(measured):.1f})"
        print(f"| {name} | {rate} | {1000 * statistics.median(cpu[name]):.0f} |")


if __name__ == "__main__":
    main()
