"""Returns memory that this process has freed to the system (Linux, GNU C library).

glibc keeps freed blocks for later use unless they lie at the end of its heap. Compiling a training step leaves half a
gigabyte of them, a fifth of the process, that no later step needs (docs/log/benchmarks.md).
"""

from __future__ import annotations

import ctypes
import sys


def return_freed_memory() -> None:
    """Returns all freed pages of glibc's heaps, which takes about .1 s; does nothing with another C library."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
