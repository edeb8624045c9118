"""What a vendor's compiler says of a program: memory, arithmetic, traffic and collectives of one device."""

from __future__ import annotations

import gzip
import re
import time
from pathlib import Path
from typing import TypedDict

import jax

from ultrabm_jax.scaling.assigned_buffers import Buffers, assign_buffers
from ultrabm_jax.scaling.collectives import read_collectives, totals
from ultrabm_jax.scaling.traffic import kernel_bytes


class CompiledProgram(TypedDict):
    """Numbers per device and run of the program; sizes in bytes."""

    accepted: bool  # False: the compiler refused the program because the device's memory does not hold it
    refusal: str  # the compiler's first line, if refused
    flops: float  # of convolutions and matrix products (arithmetic.py)
    accessed: float | None  # bytes of the device's memory that kernels read and write (traffic.py); None: refused
    arguments: int
    outputs: int  # without those that reuse an argument's memory
    temporary: int
    collectives: dict[str, int]  # kind: how often one run executes it
    bytes: dict[str, int]  # kind: payload
    sent: int
    compile_seconds: float  # without tracing and lowering
    code: bool  # False: the compilation ended before machine code was generated (assigned_buffers.py)


def compile_ahead(
    lowered: jax.stages.Lowered, *, flops: float, devices: int, hlo: Path | None = None, code: bool = True
) -> CompiledProgram:
    """Compiles `lowered`, which has `flops` on each of `devices` devices; `hlo` is a file for the program's text.

    Without `code` the compilation ends when every array has its place in memory (`assigned_buffers.py`): for TPUs, and
    the process has to end by `os._exit`.
    """
    begin = time.monotonic()
    try:
        text, buffers = _compile(lowered) if code else assign_buffers(lowered)
    except jax.errors.JaxRuntimeError as error:
        if not (refusal := memory_refusal(str(error))):
            raise
        return _refused(refusal, flops, time.monotonic() - begin, code=code)
    seconds = time.monotonic() - begin
    if hlo is not None:
        with gzip.open(hlo, "wt") as file:
            file.write(text)
    return _describe(text, buffers, flops=flops, devices=devices, seconds=seconds, code=code)


def describe_compiled(compiled: jax.stages.Compiled, *, flops: float, devices: int, seconds: float) -> CompiledProgram:
    """The numbers of a program for `devices` devices that took `seconds` to compile; `flops` are of each device."""
    text, buffers = text_and_buffers(compiled)
    return _describe(text, buffers, flops=flops, devices=devices, seconds=seconds, code=True)


def _compile(lowered: jax.stages.Lowered) -> tuple[str, Buffers]:
    return text_and_buffers(lowered.compile())


def text_and_buffers(compiled: jax.stages.Compiled) -> tuple[str, Buffers]:
    """The program's text, and the memory that it needs on one device."""
    text, memory = compiled.as_text(), compiled.memory_analysis()
    assert text is not None  # every backend has both
    assert memory is not None
    outputs = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return text, Buffers(memory.argument_size_in_bytes, outputs, memory.temp_size_in_bytes)


def _describe(
    text: str, buffers: Buffers, *, flops: float, devices: int, seconds: float, code: bool
) -> CompiledProgram:
    return {
        "accepted": True,
        "refusal": "",
        "flops": flops,
        "accessed": kernel_bytes(text),
        "arguments": buffers.arguments,
        "outputs": buffers.outputs,
        "temporary": buffers.temporary,
        **totals(read_collectives(text, devices=devices)),
        "compile_seconds": round(seconds, 1),
        "code": code,
    }


def memory_refusal(message: str) -> str:
    """The line of a compiler's error that says that memory does not suffice; "" for any other error."""
    if "RESOURCE_EXHAUSTED" not in message:
        return ""
    match = re.search(r"Used [\d.]+\w* of [\d.]+\w* \w+", message)
    return match[0] if match else message.splitlines()[0]


def peak_bytes(program: CompiledProgram) -> int:
    """Bytes that the device holds while the program runs, without the program's own code."""
    return program["arguments"] + program["outputs"] + program["temporary"]


def _refused(refusal: str, flops: float, seconds: float, *, code: bool) -> CompiledProgram:
    return {
        "accepted": False,
        "refusal": refusal,
        "flops": flops,
        "accessed": None,
        "arguments": 0,
        "outputs": 0,
        "temporary": 0,
        "collectives": {},
        "bytes": {},
        "sent": 0,
        "compile_seconds": round(seconds, 1),
        "code": code,
    }
