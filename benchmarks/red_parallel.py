"""Do RED's three encoders run side by side? python benchmarks/red_parallel.py [--size 512x512]

The paper calls it architectural parallelism that LSE, MSE and HSE read the mosaic and nothing else. Here the compiled
network is profiled once, each traced operation is given to its encoder by the name that the compiled program carries,
and the table says how much of the time two encoders were at work at once.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax

from benchmarks.red_speed import Ours, load_weights

ENCODERS = ("lse", "mse", "hse")
Interval = tuple[float, float, str]


def encoder_of(text: str) -> dict[str, str]:
    """{operation of the compiled program: the encoder it belongs to}."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*(?:ROOT )?%?([\w.\-]+) = ", line)
        scope = re.search(r'op_name="[^"]*?RED[^"/]*/?(?:\.|/)?(lse|mse|hse)(?:_|/|")', line)
        if match and scope:
            found[match[1]] = scope[1]
    return found


def trace(ours: Ours, folder: str) -> list[dict[str, Any]]:
    """Events of one call."""
    ours()
    with jax.profiler.trace(folder):
        ours()
    (path,) = Path(folder).rglob("*.trace.json.gz")
    with gzip.open(path, "rt") as file:
        return json.load(file)["traceEvents"]


def overlap(intervals: list[Interval]) -> tuple[dict[str, float], float]:
    """(microseconds in which each encoder was at work, those in which two or more were)."""
    edges = sorted(
        [(start, 1, name) for start, stop, name in intervals] + [(stop, -1, name) for _, stop, name in intervals]
    )
    running, busy, together, last = dict.fromkeys(ENCODERS, 0), dict.fromkeys(ENCODERS, 0.0), 0.0, 0.0
    for at, change, name in edges:
        active = [encoder for encoder in ENCODERS if running[encoder]]
        for encoder in active:
            busy[encoder] += at - last
        together += (at - last) * (len(active) > 1)
        running[name] += change
        last = at
    return busy, together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="512x512", help="HEIGHTxWIDTH of the mosaic")
    options = parser.parse_args()
    ours = Ours(load_weights(None)[0], options.size, "float32")
    names = encoder_of(ours.program.as_text())
    with tempfile.TemporaryDirectory() as folder:
        events = trace(ours, folder)
    intervals = [
        (event["ts"], event["ts"] + event["dur"], names[event["name"]])
        for event in events
        if event.get("name") in names and "dur" in event
    ]
    busy, together = overlap(intervals)
    for encoder, time in busy.items():
        print(f"{encoder.upper()}: {time / 1e3:.1f} ms in {sum(name == encoder for *_, name in intervals)} operations")
    print(f"two or three at once: {together / 1e3:.1f} ms")


if __name__ == "__main__":
    main()
