"""Sources of training batches, each as a function `seconds -> Speed`.

Ours deliver float32 batches on the device, through the feed that training uses. The peer delivers float32 tensors in
host memory.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from input_pipeline import open_source
from ultrabm_jax.training.feed import open_feed, to_float
from ultrabm_jax.training.sharding import make_mesh

DRAIN = 6  # batches taken before timing starts: more than were prefetched while the others ran
STEPS = 10**7  # more than are run


class Speed(NamedTuple):
    """What one round measured. CPU time depends less than the rate on what else the machine does."""

    images_per_second: float
    cpu_per_image: float  # seconds, of all threads and processes


Throughput = Callable[[float], Speed]  # seconds to run ->


def ours(config: ConfigDict, *, batch: int, patch: int, warm: bool = False) -> Throughput:
    """The batches that `config` describes; `warm`: every image is read once before, as after the first epoch."""
    source = open_source(config.data, scale=config.model.scale)
    if warm:
        for i in range(len(source)):
            source.pair(i)
    feed = open_feed(config, source, make_mesh(config.mesh))
    sizes = {"batch_size": batch, "patch_size": patch}
    batches = enumerate(feed.batches(start_step=0, stop_step=STEPS, **sizes))
    prepare = feed.prepare(**sizes)
    make = jax.jit(lambda fed, step: to_float(prepare(fed, step), input_kind=source.input_kind))

    def measure(seconds: float) -> Speed:
        begin = time.perf_counter()
        for _ in range(DRAIN):
            if time.perf_counter() - begin < 2 * seconds:  # a slower one has nothing prefetched
                step, fed = next(batches)
                jax.block_until_ready(make(fed, step))
        begin, count, cpu = time.perf_counter(), 0, time.process_time()
        while (passed := time.perf_counter() - begin) < seconds:
            step, fed = next(batches)
            jax.block_until_ready(make(fed, step))
            count += batch
        return Speed(count / passed, (time.process_time() - cpu) / count)

    return measure


class Peer:
    """peers/torch_paired.py in a separate process and Python environment."""

    def __init__(self, python: Path, low: Path, reference: Path, *, crop_first: bool = False, **sizes: int):
        script = Path(__file__).parent.parent / "peers" / "torch_paired.py"
        flags = [f"--{name}={value}" for name, value in sizes.items()] + ["--crop-first"] * crop_first
        self._process = subprocess.Popen(
            [python, script, low, reference, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions = self._line()

    def __call__(self, seconds: float) -> Speed:
        """Runs for `seconds`."""
        assert self._process.stdin is not None
        print(seconds, file=self._process.stdin, flush=True)
        count, passed, cpu = (float(word) for word in self._line().split())
        return Speed(count / passed, cpu / count)

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the peer exited with status {self._process.wait()}")
        return line
