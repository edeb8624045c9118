"""Images per second of `python -m ultrabm_jax.detection`, one at a time, in parallel threads and in batches:

    python benchmarks/detection_speed.py --detector nanodet_coco.onnx --images DIR [--count 100] [--batch 8]

Reading, resizing, the network and suppression are measured. ONNX Runtime uses one thread per run. If the batch size of
the file is fixed at 1, a copy with a free batch size is made for the batches, and the largest difference between the
scores of both is printed. The candidates take turns; rates are medians over the rounds. Processor time is that of all
threads, which depends less on other programs on the machine.

Needs onnx in addition to the extra `detection`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import onnx
from onnx import numpy_helper

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


def free_batch(file: str, target: Path) -> Path:
    """A copy of a file with batch size 1 that takes any: a leading 1 of a reshape becomes 0, ONNX's "as the input"."""
    model = onnx.load(file)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    image = next(value for value in graph.input if value.name not in constants)
    for value in (image, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "b"
    del graph.value_info[:]
    for shape in {node.input[1] for node in graph.node if node.op_type == "Reshape"}:
        sizes = numpy_helper.to_array(constants[shape]).copy()
        if sizes[0] == 1:
            sizes[0] = 0
            constants[shape].CopyFrom(numpy_helper.from_array(sizes, shape))
    onnx.save(model, str(target))
    return target


def main() -> None:
    """Prints a table."""
    args = parser().parse_args()
    description = read_description(args.description)
    paths = dict(list(list_images(args.images).items())[: args.count])
    sizes = {name: read_size(path) for name, path in paths.items()}
    own = Detector(args.detector, description, threads=1)
    batched, cores = own, os.cpu_count() or 1
    if own.batch is not None:
        with tempfile.TemporaryDirectory() as folder:
            batched = Detector(free_batch(args.detector, Path(folder) / "free.onnx"), description, threads=1)

    def candidate(detector: Detector, batch: int, workers: int) -> Callable[[], list[Detections]]:
        return lambda: list(detect(detector, paths, list(paths), sizes, batch=batch, workers=workers))

    candidates = {
        "one at a time": candidate(own, 1, 1),
        f"one at a time, {cores} threads": candidate(own, 1, cores),
        f"batches of {args.batch}": candidate(batched, args.batch, 1),
        f"batches of {args.batch}, {cores} threads": candidate(batched, args.batch, cores),
    }
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
