"""Bytes that the kernels of a compiled program read and write, counted in its HLO text.

XLA has no cost analysis of programs for absent GPUs. Here each instruction that runs as a kernel reads its operands and
writes its results once, and loops count as often as they run. A slice, alone or in a fusion, reads the size of its
result; an update in place reads and writes the size of the update. Arrays that a cache holds between two kernels count
as memory traffic.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

from ultrabm_jax.scaling.collectives import BITS, computations, executions

# Instructions without a kernel, and those whose computations are counted themselves.
_FREE = frozenset(
    ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id")
) | {"while", "conditional", "call", "opt-barrier", "optimization-barrier", "add-dependency", "iota"}
_SLICES = ("slice", "dynamic-slice", "gather")
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][\w\-]*)\(([^()]*)\)(.*)$")
_SHAPE = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
_CALLS = re.compile(r"\bcalls=%?([\w.\-]+)")
_INNER = re.compile(r"\b(?:calls|to_apply)=%?([\w.\-]+)")  # of a fusion or a reduction: part of the kernel


@dataclasses.dataclass(frozen=True)
class _Instruction:
    name: str
    kind: str
    size: int  # bytes of the results
    operands: Sequence[str]
    rest: str


def kernel_bytes(hlo: str) -> int:
    """Bytes that one run of the program `hlo` (`compiled.as_text()`) reads and writes on one device."""
    blocks, entry = computations(hlo)
    parsed = {name: [found for line in lines if (found := _parse(line))] for name, lines in blocks.items()}
    inner = {
        match[1]
        for block in parsed.values()
        for one in block
        if one.kind != "call" and (match := _INNER.search(one.rest))
    }
    times = executions(blocks, entry)
    total = 0
    for name, block in parsed.items():
        if name in inner or not times[name]:
            continue
        sizes = {one.name: one.size for one in block}
        total += times[name] * sum(_traffic(one, sizes, parsed) for one in block)
    return total


def _traffic(one: _Instruction, sizes: dict[str, int], blocks: dict[str, list[_Instruction]]) -> int:
    if one.kind in _FREE or one.kind.endswith("-done"):
        return 0
    operands = [sizes.get(name, 0) for name in one.operands]
    if one.kind in _SLICES:
        return 2 * one.size
    if one.kind == "dynamic-update-slice":
        return 2 * operands[1]
    if one.kind.endswith("-start"):  # its results repeat its operands
        return 2 * sum(operands)
    if one.kind == "fusion" and (match := _CALLS.search(one.rest)):
        return _fusion_traffic(one, operands, blocks[match[1]])
    return one.size + sum(operands)


def _fusion_traffic(fusion: _Instruction, operands: list[int], block: list[_Instruction]) -> int:
    sizes = {one.name: one.size for one in block}
    total = 0
    written = fusion.size
    for parameter in (one for one in block if one.kind == "parameter"):
        number = int(parameter.operands[0])
        users = [one for one in block if parameter.name in one.operands]
        read = operands[number] if number < len(operands) else parameter.size
        if users and all(one.kind in _SLICES and one.operands[0] == parameter.name for one in users):
            read = min(read, sum(one.size for one in users))
        elif users and all(_updates(one, parameter.name) for one in users):
            read = sum(sizes[one.operands[1]] for one in users)
            written += sum(sizes[one.operands[1]] - one.size for one in users)
        total += read
    return total + max(written, 0)


def _updates(one: _Instruction, name: str) -> bool:
    """Whether `one` updates a part of the array `name` in place."""
    return one.kind == "dynamic-update-slice" and one.operands[0] == name and name not in one.operands[1:]


def _parse(line: str) -> _Instruction | None:
    if not (match := _INSTRUCTION.match(line)):
        return None
    name, shape, kind, operands, rest = match.groups()
    names = [operand.split()[-1].lstrip("%") for operand in operands.split(", ") if operand.strip()]
    return _Instruction(name, kind, _bytes(shape), names, rest)


def _bytes(shape: str) -> int:
    return sum(
        BITS.get(kind, 8) // 8 * math.prod(int(n) for n in dims.split(",") if n) for kind, dims in _SHAPE.findall(shape)
    )
