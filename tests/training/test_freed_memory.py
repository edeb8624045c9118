"""Freed memory goes back to the system, once after each compilation of a training step."""

from __future__ import annotations

import platform
import subprocess
import sys
from types import SimpleNamespace

import jax
import pytest

from ultrabm_jax.stages import Stage
from ultrabm_jax.training import loop
from ultrabm_jax.training.freed_memory import return_freed_memory

# The last block stays in use, so that glibc keeps the freed ones before it.
SCRIPT = """
from pathlib import Path
import numpy as np
from ultrabm_jax.training.freed_memory import return_freed_memory

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024

blocks = [np.ones(2**16, np.uint8) for _ in range(3200)]
del blocks[:-1]
kept = resident()
return_freed_memory()
print(kept - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_freed_blocks_leave_the_process():
    command = [sys.executable, "-c", SCRIPT]
    returned = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(returned) > 150  # MiB, of 200


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace())
    return_freed_memory()


def test_the_first_call_of_a_step_returns_what_compiling_left(monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(loop, "return_freed_memory", lambda: calls.append("returned"))

    def train_step(state: int, inputs: int, key: jax.Array) -> tuple[int, int]:
        calls.append("step")
        return state + inputs, 0

    step = loop._timed(train_step, Stage(0, 2, 1, 16), SimpleNamespace(exclude=lambda seconds: None))
    assert [step(1, 2, None), step(3, 4, None)] == [(3, 0), (7, 0)]
    assert calls == ["step", "returned", "step"]
