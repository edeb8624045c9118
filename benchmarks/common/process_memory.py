"""Peak memory of a process (Linux)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def peak_bytes() -> int:
    """Largest resident memory of this process since its program began, or since `reset_peak`.

    `ru_maxrss` is no substitute: in a process that another one starts, it is at least the peak of the parent.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def resident_bytes() -> int:
    """Resident memory of this process now."""
    return os.sysconf("SC_PAGE_SIZE") * int(Path("/proc/self/statm").read_text().split()[1])


def reset_peak() -> None:
    """Returns freed memory to the system and forgets the peak."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
