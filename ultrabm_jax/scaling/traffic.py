"""Bytes that the kernels of a compiled program read from and write to the device's memory, counted in its HLO text.

XLA has no cost analysis of programs for absent GPUs, and that of TPU programs counts on-chip memory, too. Here each
instruction that runs as a kernel reads its operands and writes its results once, and loops count as often as they run.
A slice, alone or in a fusion, reads the size of its result; an update in place reads and writes the size of the update.
Arrays that a cache holds between two kernels count as memory traffic.

Layouts of TPU programs say more: `{3,2,1,0:T(8,128)S(1)}` is stored in tiles of 8x128, to which its two minor
dimensions are padded, and lies in on-chip memory (S of 1 or more), which does not count.
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
_ASSIGNMENT = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (.*)$")
_OPERATION = re.compile(r"^ ([a-z][\w\-]*)\(([^()]*)\)(.*)$")
_SHAPE = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\](?:\{([\d,]*)(?::T\(([\d,]+)\))?([^}]*)\})?")
_COMMENT = re.compile(r"/\*.*?\*/")  # XLA numbers long lists: /*index=5*/
_ON_CHIP = re.compile(r"\bS\([1-9]\d*\)")
_CALLS = re.compile(r"\bcalls=%?([\w.\-]+)")
_INNER = re.compile(r"\b(?:calls|to_apply)=%?([\w.\-]+)")  # of a fusion or a reduction: part of the kernel


@dataclasses.dataclass(frozen=True)
class _Array:
    bytes: int  # with padding to tiles
    in_memory: bool  # of the device; False: on the chip

    @property
    def traffic(self) -> int:
        return self.bytes * self.in_memory


@dataclasses.dataclass(frozen=True)
class _Instruction:
    name: str
    kind: str
    results: Sequence[_Array]
    operands: Sequence[str]
    rest: str

    @property
    def size(self) -> int:
        return sum(result.bytes for result in self.results)

    @property
    def written(self) -> int:
        return sum(result.traffic for result in self.results)

    @property
    def in_memory(self) -> bool:
        return any(result.in_memory for result in self.results)


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
        known = {one.name: one for one in block}
        total += times[name] * sum(_traffic(one, known, parsed) for one in block)
    return total


def _traffic(one: _Instruction, known: dict[str, _Instruction], blocks: dict[str, list[_Instruction]]) -> int:
    if one.kind in _FREE or one.kind.endswith("-done"):
        return 0
    operands = [known[name] for name in one.operands]
    read = sum(operand.written for operand in operands)
    if one.kind in _SLICES:
        return one.size * operands[0].in_memory + one.written
    if one.kind == "dynamic-update-slice":
        return operands[1].written + operands[1].size * operands[0].in_memory
    if one.kind == "copy-start":  # results: the copy, the original, a flag
        return one.results[0].traffic + read
    if one.kind == "slice-start" or _starts_slice(one, blocks):  # results: the original, the slice, a flag
        part = one.results[1]
        return part.bytes * operands[0].in_memory + part.traffic
    if one.kind.endswith("-start"):  # its results repeat its operands
        return 2 * read
    if one.kind == "fusion" and (match := _CALLS.search(one.rest)):
        return _fusion_traffic(one, operands, blocks[match[1]])
    return one.written + read


def _starts_slice(one: _Instruction, blocks: dict[str, list[_Instruction]]) -> bool:
    """Whether `one` is a slice-start in the form that XLA writes before code is generated: async-start, calls=..."""
    called = _CALLS.search(one.rest) if one.kind == "async-start" else None
    return called is not None and blocks[called[1]][-1].kind == "slice"


def _fusion_traffic(fusion: _Instruction, operands: list[_Instruction], block: list[_Instruction]) -> int:
    sizes = {one.name: one.size for one in block}
    total = 0
    written = fusion.written
    for parameter in (one for one in block if one.kind == "parameter"):
        number = int(parameter.operands[0])
        users = [one for one in block if parameter.name in one.operands]
        operand = operands[number] if number < len(operands) else parameter
        read = operand.written
        if users and all(one.kind in _SLICES and one.operands[0] == parameter.name for one in users):
            read = min(read, sum(one.size for one in users))
        elif users and operand.in_memory and all(_updates(one, parameter.name) for one in users):
            read = sum(sizes[one.operands[1]] for one in users)
            written += sum(sizes[one.operands[1]] - one.size for one in users)
        total += read
    return total + max(written, 0)


def _updates(one: _Instruction, name: str) -> bool:
    """Whether `one` updates a part of the array `name` in place."""
    return one.kind == "dynamic-update-slice" and one.operands[0] == name and name not in one.operands[1:]


def _parse(line: str) -> _Instruction | None:
    if not (assignment := _ASSIGNMENT.match(_COMMENT.sub("", line))):
        return None
    name, expression = assignment.groups()
    end = _end_of_type(expression)
    if not (operation := _OPERATION.match(expression[end:])):
        return None
    kind, operands, rest = operation.groups()
    names = [operand.split()[-1].lstrip("%") for operand in operands.split(", ") if operand.strip()]
    return _Instruction(name, kind, [_array(shape) for shape in _SHAPE.finditer(expression[:end])], names, rest)


def _end_of_type(expression: str) -> int:
    """Position of the space behind the type of the result: f32[8]{0}, or a tuple in parentheses."""
    depth = 0
    for position, character in enumerate(expression):
        depth += (character in "([{") - (character in ")]}")
        if character == " " and depth == 0:
            return position
    return len(expression)


def _array(shape: re.Match[str]) -> _Array:
    kind, dims, order, tile, rest = shape.groups()
    sides = [int(n) for n in dims.split(",") if n]
    if tile and order:
        minor_first = [int(n) for n in order.split(",")]
        for dimension, side in zip(minor_first, reversed(tile.split(",")), strict=False):
            sides[dimension] += -sides[dimension] % int(side)
    return _Array(BITS.get(kind, 8) // 8 * math.prod(sides), not _ON_CHIP.search(rest or ""))
