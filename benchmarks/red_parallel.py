"""Measures whether RED's three encoders run in parallel: python benchmarks/red_parallel.py [--size 512x512]

LSE, MSE and HSE depend on the mosaic only, which the paper calls architectural parallelism. The compiled network is
profiled once, each traced operation is assigned to its encoder by its name in the compiled program, and the output
tells for how long several encoders ran at the same time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax

from benchmarks.red_speed import Ours, load_weights

ENCODERS = ("lse", "mse", "hse")
Interval = tuple[float, float, str]  # start and stop in microseconds, encoder


class Event(TypedDict, total=False):
    """The fields of a trace event that are used here."""

    name: str
    ts: float  # start, microseconds
    dur: float  # duration, microseconds


def encoder_of(text: str) -> dict[str, str]:
    """{operation of the compiled program: encoder}."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*(?:ROOT )?%?([\w.\-]+) = ", line)
        scope = re.search(r'op_name="[^"]*?RED[^"/]*/?(?:\.|/)?(lse|mse|hse)(?:_|/|")', line)
        if match and scope:
            found[match[1]] = scope[1]
    return found


def trace(ours: Ours, folder: str) -> list[Event]:
    """The trace events of one call."""
    ours()
    with jax.profiler.trace(folder):
        ours()
    (path,) = Path(folder).rglob("*.trace.json.gz")
    with gzip.open(path, "rt") as file:
        return json.load(file)["traceEvents"]


def overlap(intervals: list[Interval]) -> tuple[dict[str, float], float]:
    """(microseconds in which each encoder was running, microseconds in which two or more were)."""
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
    print(f"two or three at the same time: {together / 1e3:.1f} ms")


if __name__ == "__main__":
    main()
