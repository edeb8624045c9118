"""Everything to measure on an accelerator, within a budget of time:

    python benchmarks/accelerator.py --budget 1800 --output DIR [--data lol.zip] [--only parity inference ...]

In this order: parity of all networks with values computed by a CPU; inference speed of RED, DRGN and UltraBM in float32
and bfloat16, beside PyTorch where torch is installed; time and memory of training steps beside the predictions of
ultrabm_jax.scaling; traces of steps; then LW-DRGN, UltraBM x2 and LoLiSRFlow train on LOL for what remains.

--data is a LOL folder or the file that `python -m input_pipeline.pack lol LOL --output lol.zip` writes. The base
requirements suffice: neither TensorFlow nor a network is needed. A unit that would not finish within the budget is not
started, and one that takes too long is ended. The same command continues with what is missing, and with the trainings.

DIR/results.json and results.md have all results; log.txt has the output of the programs, fit/ the workdirs of the runs,
profile/ the traces, and compiled/ the compilation cache. --quick: few units with small networks, to try it on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.device.units import SECTIONS, Unit, all_units
from ultrabm_jax.errors import UserError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--budget", type=float, metavar="SECONDS", help="wall-clock time of this call")
    flags.add_argument("--output", type=Path, metavar="DIR", help="folder of the results")
    flags.add_argument("--data", type=Path, help="LOL folder or lol.zip; without it nothing is trained")
    flags.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections; default: all")
    flags.add_argument("--quick", action="store_true", help="few units with small networks")
    flags.add_argument("--record-parity", action="store_true", help="compute the parity values anew, on the CPU")
    flags.add_argument("--worker", help=argparse.SUPPRESS)
    return flags


def run(options: argparse.Namespace) -> None:
    """Runs the units and writes the tables."""
    from benchmarks.device.results import Results
    from benchmarks.device.runner import Runner

    if options.budget is None or options.output is None:
        raise UserError("--budget and --output are needed; --help explains them")
    options.output.mkdir(parents=True, exist_ok=True)
    results = Results(options.output)
    runner = Runner(
        results, script=Path(__file__).resolve(), root=unpacked(options), start=process_start(), budget=options.budget
    )
    try:
        runner.run([unit for unit in all_units(quick=options.quick) if unit.section in options.only])
    finally:
        results.write(left_out=runner.left_out, budget=options.budget)
    print((options.output / "results.md").read_text())


def unpacked(options: argparse.Namespace) -> Path | None:
    """The LOL folder of --data."""
    from benchmarks.device.archive import unpack

    if options.data is None or options.data.is_dir():
        return options.data
    return unpack(options.data, options.output / "data")


def process_start() -> float:
    """When this process was started, on the clock of time.monotonic: imports belong to the budget."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - max(age, 0.0)


def work(task: dict) -> None:
    """The worker's side of `run`."""
    from benchmarks.device import worker

    units = [Unit(**unit) for unit in task["units"]]
    root = task["root"] and Path(task["root"])
    worker.work(units, folder=Path(task["folder"]), root=root, deadline=task["deadline"], report=task["report"])


def main() -> int:
    options = parser().parse_args()
    if options.record_parity:
        from benchmarks.device import parity

        parity.record()
    elif options.worker:
        work(json.loads(options.worker))
    else:
        try:
            run(options)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
