"""A TPU program without its machine code: the compiler's output as soon as every array has its place in memory.

libtpu spends nearly all its time on the kernels' machine code, after kernels, layouts, collectives and buffers are
settled. XLA writes the settled program and its buffers to files (`xla_dump_to`); once they are there, the figures are
read and the compilation is abandoned. The calling process has to end by `os._exit`, because nothing stops libtpu.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import jax

_ALLOCATION = re.compile(r"^allocation \d+: size (\d+), (?:color (\d+), )?(.*)$", re.MULTILINE)
_AFTER_THEM = "*.after_optimizations_after_buffer_assignment.txt"  # is written after the files that are read
_TEXT = "*.after_optimizations.txt"
_BUFFERS = "*.after_optimizations-buffer-assignment.txt"
_POLL_SECONDS = 0.2


class Buffers(NamedTuple):
    """Bytes of the device's memory, without on-chip memory and the program's code."""

    arguments: int
    outputs: int  # without those that reuse an argument's memory
    temporary: int


def assign_buffers(lowered: jax.stages.Lowered) -> tuple[str, Buffers]:
    """(the text of the optimised program, its buffers); the compilation continues in a daemon thread.

    Raises what the compiler raises before that point, for example JaxRuntimeError if the memory does not suffice, and
    RuntimeError if it ends without writing the program.
    """
    folder = Path(tempfile.mkdtemp(prefix="ultrabm_hlo_"))
    try:
        _wait_for_buffers(lowered, folder)
        (text,), (buffers,) = folder.glob(_TEXT), folder.glob(_BUFFERS)
        return text.read_text(), read_buffers(buffers.read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_buffers(lowered: jax.stages.Lowered, folder: Path) -> None:
    """Compiles in a daemon thread; returns when XLA has written the program and its buffers into `folder`."""
    options = {"xla_dump_to": str(folder), "xla_dump_hlo_as_text": True, "xla_dump_compact_gte": False}
    raised: list[Exception] = []

    def compile_program() -> None:
        try:
            lowered.compile(compiler_options=options)
        except Exception as error:  # raised again in the calling thread
            raised.append(error)

    thread = threading.Thread(target=compile_program, daemon=True)
    thread.start()
    while not any(folder.glob(_AFTER_THEM)):
        if not thread.is_alive() and not any(folder.glob(_AFTER_THEM)):
            raise raised[0] if raised else RuntimeError("XLA wrote no program; XLA_FLAGS may filter what it writes")
        time.sleep(_POLL_SECONDS)


def read_buffers(assignment: str) -> Buffers:
    """The sums of XLA's buffer assignment `assignment` (its text); constants count as temporary."""
    arguments = outputs = temporary = 0
    for size, color, kind in _ALLOCATION.findall(assignment):
        if color not in ("", "0"):
            continue  # on-chip memory
        if re.search(r"\bparameter \d+", kind):
            arguments += int(size)
        elif "maybe-live-out" in kind:
            outputs += int(size)
        else:
            temporary += int(size)
    return Buffers(arguments, outputs, temporary)
