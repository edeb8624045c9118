"""Seconds that restore.py takes for one small photo, of several checkouts in turn:

    python benchmarks/restore_start.py PHOTO CHECKOUT [CHECKOUT ...] [--rounds 9] [--model lw_drgn_photo]

Two calls of each checkout are not counted: they fill the compilation cache. The table has medians of wall-clock time,
with the fastest and the slowest call, and of processor time.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def call(checkout: Path, photo: Path, output: Path, *, model: str) -> tuple[float, float]:
    """(wall-clock, processor) seconds of one call."""
    command = [sys.executable, "restore.py", str(photo), "--model", model, "--output", str(output)]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", default="lw_drgn_photo")
    args = parser.parse_args()
    checkouts = [path.resolve() for path in args.checkouts]
    calls: dict[Path, list[tuple[float, float]]] = {path: [] for path in checkouts}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2 + args.rounds):
            for path in checkouts:
                calls[path].append(call(path, args.photo.resolve(), Path(folder) / "out.png", model=args.model))
    print("| checkout | wall-clock s | processor s |\n|---|---|---|")
    for path in checkouts:
        wall, processor = zip(*calls[path][2:], strict=True)
        middle = statistics.median(wall)
        spread = f"{min(wall):.2f} to {max(wall):.2f}"
        print(f"| {path.name} | {middle:.2f} ({spread}) | {statistics.median(processor):.2f} |")


if __name__ == "__main__":
    main()
