"""Ways to get training batches, each as a function `seconds -> images per second`.

Ours end where training takes over: float32 on the device, through the feed of training itself. The peer's end as
float32 tensors in host memory.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from input_pipeline import open_source
from ultrabm_jax.training.feed import open_feed, to_float
from ultrabm_jax.training.sharding import make_mesh

DRAIN = 6  # batches taken before the clock starts: more than were prepared while the others had their turn
FOREVER = 10**7  # steps

StepHooks = Callable[[float], float]


def ours(config: Any, *, batch: int, patch: int, warm: bool = False) -> StepHooks:
    """What `config` describes; `warm`: every image was read once, as after the first epoch."""
    source = open_source(config.data, scale=config.model.scale)
    if warm:
        for i in range(len(source)):
            source.pair(i)
    feed = open_feed(config, source, make_mesh(config.mesh))
    sizes = {"batch_size": batch, "patch_size": patch}
    batches = enumerate(feed.batches(start_step=0, stop_step=FOREVER, **sizes))
    prepare = feed.prepare(**sizes)
    make = jax.jit(lambda fed, step: to_float(prepare(fed, step)))

    def turn(seconds: float) -> float:
        begin = time.perf_counter()
        for _ in range(DRAIN):
            if time.perf_counter() - begin < 2 * seconds:  # one so slow had nothing waiting
                step, fed = next(batches)
                jax.block_until_ready(make(fed, step))
        begin, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < seconds:
            step, fed = next(batches)
            jax.block_until_ready(make(fed, step))
            count += batch
        return count / passed

    return turn


class Peer:
    """peers/torch_paired.py in a process and an environment of its own."""

    def __init__(self, python: Path, low: Path, reference: Path, **sizes: int):
        script = Path(__file__).parent / "peers" / "torch_paired.py"
        flags = [f"--{name}={value}" for name, value in sizes.items()]
        self._process = subprocess.Popen(
            [python, script, low, reference, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions = self._line()

    def __call__(self, seconds: float) -> float:
        """One turn."""
        assert self._process.stdin is not None
        print(seconds, file=self._process.stdin, flush=True)
        count, passed = self._line().split()
        return int(count) / float(passed)

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the peer has stopped with status {self._process.wait()}")
        return line
