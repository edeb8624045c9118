"""Peak memory as the benchmarks measure it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common.process_memory import peak_bytes, reset_peak, resident_bytes

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
SIZE = 100 * 2**20


def test_the_peak_outlives_an_array_until_it_is_reset():
    reset_peak()
    before = resident_bytes()
    array = np.ones(SIZE, np.uint8)
    del array
    assert peak_bytes() - before > 0.9 * SIZE
    reset_peak()
    assert peak_bytes() - before < 0.5 * SIZE


def test_a_process_does_not_inherit_the_peak_of_its_parent():
    array = np.ones(SIZE, np.uint8)
    root = Path(__file__).resolve().parents[2]
    code = "from benchmarks.common.process_memory import peak_bytes; print(peak_bytes())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    assert int(done.stdout) < array.nbytes
