"""restore.py on mutated files, in a separate process: python fuzz_restore.py FOLDER COUNT SEED photos|raw

The network is a stand-in. Prints one line of JSON: the exit status of restore.py and, for each file, seconds of all
processors, the largest memory of the process meanwhile in MiB, and seconds of the clock, which depend on what else the
machine does. A file that takes more than LIMIT seconds of the clock ends the process.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import flax.linen as nn  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from inference.fuzz_files import cases  # noqa: E402
from inference.test_raw_files import Stub  # noqa: E402

from ultrabm_jax import cli  # noqa: E402
from ultrabm_jax.commands import restore  # noqa: E402
from ultrabm_jax.inference import job_runner  # noqa: E402
from ultrabm_jax.models.red.task import REDTask  # noqa: E402
from ultrabm_jax.models.task import Task  # noqa: E402

LIMIT = 60.0
VARIABLES = {"params": {"level": np.float32(1)}}


class Photos(nn.Module):
    """x2."""

    scale: int = 2

    @nn.compact
    def __call__(self, low):
        gain = self.param("level", nn.initializers.ones, ())
        return {"restored": jnp.repeat(jnp.repeat(gain * low, 2, 1), 2, 2)}


class SmallTiles(REDTask):
    tile, overlap = 64, 0


def watched(record):
    """`cli.progress` that notes time and memory between one file and the next."""

    def progress(jobs, unit, *, describe=str):
        for job in jobs:
            print(f"file {job.source.name}", file=sys.stderr, flush=True)
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts again
            started, worked = time.monotonic(), time.process_time()
            yield job
            status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            peak = int(status["VmHWM"].split()[0]) // 1024
            used = round(time.process_time() - worked, 3)
            record[job.source.name] = [used, peak, round(time.monotonic() - started, 3)]
            faulthandler.cancel_dump_traceback_later()

    return progress


def main(folder, count, seed, kind):
    (folder / "in").mkdir(parents=True)
    for case in cases(int(count), seed=int(seed), raw=kind == "raw"):
        (folder / "in" / case.name).write_bytes(case.data)
    record = {}
    job_runner.progress = watched(record)
    restore.load = lambda args: (SmallTiles(Stub()) if kind == "raw" else Task(Photos()), VARIABLES)
    argv = ["--workdir", "w", str(folder / "in"), "--output", str(folder / "out")]
    status = cli.run(lambda: restore.main(argv))
    print(json.dumps({"status": status, "files": record}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
