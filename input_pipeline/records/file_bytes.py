"""A file as a sequence of bytes that reads only what is requested.

This is not a memory map, because touched pages of a map count as memory of the process, and the headers of a shard's
records are scattered over the whole file.
"""

from __future__ import annotations

import os
from typing import overload

BLOCK = 4096  # bytes read at once, because headers are parsed byte by byte


class FileBytes:
    """`data[i]`, `data[start:stop]` and `len(data)` of an open file descriptor, as for `bytes`; no slice steps."""

    def __init__(self, file: int):
        self._file = file
        self._size = os.fstat(file).st_size
        self._block, self._start = b"", 0

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, where: int) -> int: ...
    @overload
    def __getitem__(self, where: slice) -> bytes: ...
    def __getitem__(self, where: int | slice) -> int | bytes:
        if isinstance(where, slice):
            start, stop, _ = where.indices(self._size)
            return self._read(start, max(start, stop))
        if not 0 <= where < self._size:
            raise IndexError(where)
        return self._read(where, where + 1)[0]

    def _read(self, start: int, stop: int) -> bytes:
        if stop - start > BLOCK:
            return os.pread(self._file, stop - start, start)
        if not self._start <= start <= stop <= self._start + len(self._block):
            self._block, self._start = os.pread(self._file, BLOCK, start), start
        return self._block[start - self._start : stop - self._start]
