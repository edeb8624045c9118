"""Speed of full-reference metrics compared with scikit-image and PyTorch, one image at a time:

    python benchmarks/metrics_speed.py --restored lol_v1/eval15/low --reference lol_v1/eval15/high [--rounds 5]

psnr_rgb, ssim_rgb, msssim_rgb, rmse, lpips_alex and fsim of every pair, from decoded images. The candidates take turns
in one process; times are medians over the rounds, and the first call, which compiles, is reported separately.

    threads    as `python -m ultrabm_jax.metrics` measures: one image in each of `--threads` threads
    methods    the same for three methods that are compared with one reference; the time is per method
    batches    one jitted program on a batch of uint8 images, transfer included
    peer       peers/metrics_torch.py: scikit-image and PyTorch on the same cores, with the same LPIPS weights

The second table has the time of each protocol alone (threads) and its mean by both implementations, which shows that
they compute the same values.

Needs torch in addition to requirements.txt, and images of one size.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import numpy as np

from benchmarks.common.side_by_side import medians
from ultrabm_jax.backbones.pretrained import load_lpips
from ultrabm_jax.image import read_image
from ultrabm_jax.image.write import quantise
from ultrabm_jax.metrics import METRICS
from ultrabm_jax.metrics.folders import list_images, pair
from ultrabm_jax.metrics.images import PEAK, to_8bit
from ultrabm_jax.metrics.lpips import lpips
from ultrabm_jax.metrics.ordered_map import ordered_map
from ultrabm_jax.metrics.scoring import score_image
from ultrabm_jax.typing import Variables

if TYPE_CHECKING:
    from benchmarks.peers.metrics_torch import OneAtATime

PROTOCOLS = ("psnr_rgb", "ssim_rgb", "msssim_rgb", "rmse", "lpips_alex", "fsim")  # in both implementations
METHODS = 3
LABELS = {
    "threads": "one image in each thread, as the command",
    "methods": f"the same, each of {METHODS} methods",
    "batches": "device batches",
    "peer": "one at a time, scikit-image and PyTorch",
}
Values = dict[str, np.ndarray]  # protocol: one value per image


def read(restored: str, reference: str) -> tuple[np.ndarray, np.ndarray]:
    """The restored and the reference images, (n, h, w, 3) uint8 each."""
    folders = {"restored": list_images(restored), "reference": list_images(reference)}
    names, _ = pair(folders["restored"], {"reference": folders["reference"]})
    images = [[quantise(read_image(folder[name]).rgb, 8) for name in names] for folder in folders.values()]
    return np.stack(images[0]), np.stack(images[1])


class Batches:
    """The metrics of a batch in one program; the last batch is padded."""

    def __init__(self, variables: Variables, batch: int, protocols: Sequence[str] = PROTOCOLS):
        self.batch = batch
        self.variables = jax.device_put(variables)

        def value(name: str, variables: Variables, a: jax.Array, b: jax.Array) -> jax.Array:
            if name == "lpips_alex":
                return lpips(variables, to_8bit(a) / PEAK, to_8bit(b) / PEAK, network="alex")
            return METRICS[name].function(a, b)

        @jax.jit
        def measure(variables: Variables, a: jax.Array, b: jax.Array) -> dict[str, jax.Array]:
            return {name: value(name, variables, a, b) for name in protocols}

        self.measure = measure

    def __call__(self, restored: np.ndarray, reference: np.ndarray) -> Values:
        found = []
        for start in range(0, len(restored), self.batch):
            chosen = np.minimum(np.arange(start, start + self.batch), len(restored) - 1)
            found.append(self.measure(self.variables, restored[chosen], reference[chosen]))
        return {name: np.concatenate([np.asarray(part[name]) for part in found])[: len(restored)] for name in found[0]}


class InThreads:
    """The metrics of the pairs by `workers` threads, one image in each."""

    def __init__(self, workers: int, protocols: Sequence[str] = PROTOCOLS, *, methods: int = 1):
        self.workers, self.protocols, self.methods = workers, protocols, methods

    def __call__(self, restored: np.ndarray, reference: np.ndarray) -> Values:
        pairs = list(zip(restored, reference, strict=True))
        found = list(ordered_map(self._measure, pairs, workers=self.workers))
        return {name: np.array([values[name] for values in found]) for name in self.protocols}

    def _measure(self, images: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
        """The values of one method; all methods are represented by the same image."""
        (restored, reference), shared = images, {} if self.methods > 1 else None
        values: dict[str, float] = {}
        for _ in range(self.methods):
            for name in self.protocols:
                values[name] = score_image(name, restored, {"reference": reference}, shared=shared)
        return values


def one_at_a_time(peer: OneAtATime, restored: np.ndarray, reference: np.ndarray) -> Values:
    """The peer's metrics of all images."""
    found = [peer(a, b) for a, b in zip(restored, reference, strict=True)]
    return {name: np.array([values[name] for values in found]) for name in found[0]}


def each_protocol(
    peer: OneAtATime, images: Sequence[np.ndarray], *, workers: int, rounds: int
) -> dict[str, dict[str, float]]:
    """{protocol: median seconds of ours and of the peer}."""

    def measure(name: str) -> dict[str, float]:
        ours = InThreads(workers, (name,))
        ours(*images)  # compiles
        theirs = functools.partial(peer.measure, name)
        return medians({"ours": lambda: ours(*images), "peer": lambda: [*map(theirs, *images)]}, rounds, warm_up=0)

    return {name: measure(name) for name in PROTOCOLS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restored", required=True, help="folder of images")
    parser.add_argument("--reference", required=True, help="folder of images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=5, help="images per batch")
    parser.add_argument("--limit", type=int, help="number of images, from the first")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="ours and PyTorch's")
    options = parser.parse_args()
    import torch

    from benchmarks.peers.metrics_torch import OneAtATime

    torch.set_num_threads(options.threads)
    images = tuple(folder[: options.limit] for folder in read(options.restored, options.reference))
    variables = load_lpips("alex")
    peer = OneAtATime(variables)
    ours = {
        "threads": InThreads(options.threads),
        "methods": InThreads(options.threads, methods=METHODS),
        "batches": Batches(variables, options.batch),
    }
    candidates = {name: functools.partial(candidate, *images) for name, candidate in ours.items()}
    candidates["peer"] = functools.partial(one_at_a_time, peer, *images)
    first, values = {}, {}
    for name, candidate in candidates.items():  # compiles and warms up
        begin = time.perf_counter()
        values[name] = candidate()
        first[name] = time.perf_counter() - begin
    median = medians(candidates, options.rounds, warm_up=0)
    median["methods"] /= METHODS
    each = each_protocol(peer, images, workers=options.threads, rounds=options.rounds)
    print(f"{datetime.date.today()}; {jax.devices()[0].device_kind}, {options.threads} cores; Python ", end="")
    print(f"{platform.python_version()}, jax {jax.__version__}, torch {torch.__version__}")
    print(report(values, median, each, first, shape=images[0].shape, rounds=options.rounds))


def report(
    values: dict[str, Values],
    median: dict[str, float],
    each: dict[str, dict[str, float]],
    first: dict[str, float],
    *,
    shape: tuple[int, ...],
    rounds: int,
) -> str:
    """The tables as Markdown."""
    lines = [
        f"{shape[0]} images of {shape[1]}x{shape[2]}, medians of {rounds} rounds",
        "",
        "| | seconds | ms per image | speed-up | first call, s |",
        "|---|---|---|---|---|",
    ]
    for name, label in LABELS.items():
        ratio, mean = median["peer"] / median[name], 1e3 * median[name] / shape[0]
        lines.append(f"| {label} | {median[name]:.2f} | {mean:.0f} | {ratio:.2f} | {first[name]:.1f} |")
    lines += ["", "| protocol | ours, ms per image | peer | speed-up | mean by ours | by the peer | "]
    lines[-1] += "largest difference |"
    lines.append("|---|---|---|---|---|---|---|")
    for name, ours in values["threads"].items():
        peer, (a, b) = values["peer"][name], (1e3 * each[name][side] / shape[0] for side in ("ours", "peer"))
        gap = np.abs(ours - peer).max()
        lines.append(
            f"| {name} | {a:.1f} | {b:.1f} | {b / a:.2f} | {ours.mean():.5f} | {peer.mean():.5f} | {gap:.1e} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
