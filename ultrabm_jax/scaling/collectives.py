"""The collectives of a compiled program, read from its HLO text.

bytes    size of the result on one device; for an all-reduce also the size of its input
sent     bytes that one device sends with ring algorithms: all-reduce 2 (n-1)/n of `bytes`, all-gather (n-1)/n,
         reduce-scatter n-1 times, all-to-all (n-1)/n, collective-permute once
times    executions per run of the program; XLA annotates the trip counts of loops
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypedDict

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")
BITS = {"pred": 8, "s8": 8, "u8": 8, "s16": 16, "u16": 16, "f16": 16, "bf16": 16, "s32": 32, "u32": 32, "f32": 32,
        "s64": 64, "u64": 64, "f64": 64}  # fmt: skip

_INSTRUCTION = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\((.*)$")
_SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{\s*$")
_CALLED = re.compile(r"\b(?:body|condition|to_apply|calls|\w+_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective instruction of a device's program."""

    kind: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]  # (type, dimensions) of its results
    devices: int  # in one group
    times: int
    source: str  # name of the JAX operation that it belongs to

    @property
    def bytes(self) -> int:
        """Size of all results of one execution."""
        return sum(BITS[kind] // 8 * math.prod(shape) for kind, shape in self.shapes)

    @property
    def sent(self) -> float:
        """Bytes that one device sends per run of the program."""
        n = self.devices
        share = {
            "all-reduce": 2 * (n - 1) / n,
            "all-gather": (n - 1) / n,
            "all-to-all": (n - 1) / n,
            "reduce-scatter": n - 1,
            "collective-permute": 1,
        }
        return share[self.kind] * self.bytes * self.times


def read_collectives(hlo: str, *, devices: int) -> list[Collective]:
    """The collectives in `hlo`, the text of a program for `devices` devices (`compiled.as_text()`)."""
    blocks, entry = computations(hlo)
    times = executions(blocks, entry)
    found = []
    for name, lines in blocks.items():
        for line in lines:
            if times[name] and (match := _INSTRUCTION.search(line)):
                result, kind, started, rest = match.groups()
                found.append(
                    Collective(kind, _results(result, started), _group(rest, devices), times[name], _source(rest))
                )
    return found


class Totals(TypedDict):
    """What one device's program communicates in one run."""

    collectives: dict[str, int]  # kind: how often it is executed
    bytes: dict[str, int]  # kind: payload
    sent: int  # bytes


def totals(found: Sequence[Collective]) -> Totals:
    """The sums of `read_collectives`."""
    times, payload = Counter[str](), Counter[str]()
    for one in found:
        times[one.kind] += one.times
        payload[one.kind] += one.bytes * one.times
    return {"collectives": dict(times), "bytes": dict(payload), "sent": round(sum(one.sent for one in found))}


def computations(hlo: str) -> tuple[dict[str, list[str]], str]:
    """({name: lines} of the computations in `hlo`, the name of the entry)."""
    blocks: dict[str, list[str]] = {}
    entry, current = "", None
    for line in hlo.splitlines():
        if not line.startswith(" ") and (match := _COMPUTATION.match(line)):
            current = match[2]
            blocks[current] = []
            entry = current if match[1] else entry
        elif line.startswith("}"):
            current = None
        elif current is not None:
            blocks[current].append(line)
    return blocks, entry


def executions(blocks: dict[str, list[str]], entry: str) -> dict[str, int]:
    """Executions of each computation, counting every branch of a conditional."""
    times: dict[str, int] = defaultdict(int)

    def visit(name: str, count: int) -> None:
        times[name] += count
        for line in blocks.get(name, ()):
            trips = int(match[1]) if (match := _TRIPS.search(line)) else 1
            branches = re.findall(r"[\w.\-]+", match[1]) if (match := _BRANCHES.search(line)) else []
            for called in (*_CALLED.findall(line), *branches):
                if called in blocks:
                    visit(called, count * trips)

    visit(entry, 1)
    return times


def _results(text: str, started: str | None) -> tuple[tuple[str, tuple[int, ...]], ...]:
    shapes = [(kind, tuple(int(n) for n in dims.split(",") if n)) for kind, dims in _SHAPE.findall(text)]
    if started and len(shapes) > 1:  # (operands, results, and for a permute two scalars)
        shapes = [shape for shape in shapes if shape != ("u32", ())]
        shapes = shapes[len(shapes) // 2 :]
    return tuple(shapes)


def _group(rest: str, devices: int) -> int:
    if match := re.search(r"replica_groups=mesh\[([^\]]*)\][^{]*\{([^}]*)\}", rest):  # mesh['a'=4,'b'=2] {'a'}
        sizes = dict(re.findall(r"'([^']*)'=(\d+)", match[1]))
        axes = re.findall(r"'([^']*)'(?::\(\d+\)(\d+))?", match[2])  # 'a':(2)2 is a part of an axis, of size 2
        return math.prod(int(part or sizes[axis]) for axis, part in axes)
    if match := re.search(r"replica_groups=\[(\d+),(\d+)\]", rest):
        return int(match[2])
    if match := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
        return len(match[1].split(","))
    return devices


def _source(rest: str) -> str:
    match = re.search(r'op_name="([^"]*)"', rest)
    return match[1] if match else ""
