"""Huge pages for the memory of training on a CPU (Linux, GNU C library).

A compiled program has one buffer for all its intermediate arrays. XLA allocates it for each call, so that the system
maps and clears each page of 4 KiB again in every training step; measured on one core, this takes 11 to 23 % of the
processor time of a step (docs/log/benchmarks.md). Pages of 2 MiB need almost none of it. glibc requests them if
GLIBC_TUNABLES has glibc.malloc.hugetlb=1 when the process starts, hence the restart.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")  # "always [madvise] never"
VARIABLE, VALUE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"


def huge_page_variables(environment: Mapping[str, str] = os.environ, *, mode: Path = MODE) -> dict[str, str]:
    """The environment variables that a process with huge pages needs.

    {} if the system gives them to every process or to none, and if the user has set GLIBC_TUNABLES.
    """
    on_request = sys.platform == "linux" and mode.is_file() and "[madvise]" in mode.read_text()
    return {VARIABLE: VALUE} if on_request and VARIABLE not in environment else {}


def restart_with_huge_pages() -> None:
    """Replaces this process, at its very start, by one with huge pages; returns if there is nothing to gain.

    Arguments, process id, working folder and open streams stay the same. Another C library ignores the variable. Does
    nothing in a program that replaced `sys.argv`, such as a test.
    """
    arguments = sys.argv[1:]
    if sys.orig_argv[len(sys.orig_argv) - len(arguments) :] != arguments:
        return
    if sys.executable and (variables := huge_page_variables()):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **variables})
