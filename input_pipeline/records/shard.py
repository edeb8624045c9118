"""One TFRecord file: finds its records and reads windows of them.

A record is  length uint64 | crc32c of it, uint32 | data | crc32c of the data, uint32  (little endian). Opening a shard
checks the lengths; verify.py checks the data's checksums, which requires reading all of it.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

import numpy as np

from input_pipeline.records.example import Feature, Span, parse_example
from input_pipeline.records.file_bytes import FileBytes
from ultrabm_jax.errors import UserError

HEADER, FOOTER = 12, 4  # bytes around the data of a record
PREAD_LIMIT = 2**18  # bytes up to which a window is read rather than mapped


class BadShard(UserError):
    """A shard is missing or damaged. The message names it and says what to do."""

    def __init__(self, path: Path, reason: str):
        self.path = path
        super().__init__(f"{path}: {reason}; delete the folder and run `python -m input_pipeline.prepare` again")


class Shard:
    """An open shard. Thread-safe: reads do not use the file position, and no mapping is kept."""

    def __init__(self, path: Path, count: int):
        self.path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BadShard(path, f"cannot be opened ({error.strerror})") from error
        self.examples = self._index(count)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def window(self, start: int, rows: int, row_bytes: int, columns: Span) -> np.ndarray:
        """Reads bytes columns[0]:columns[1] of `rows` rows, the first of which begins at `start`: (rows, n) uint8."""
        if rows * row_bytes <= PREAD_LIMIT:
            whole = np.frombuffer(os.pread(self._file, rows * row_bytes, start), np.uint8).reshape(rows, row_bytes)
            return whole[:, slice(*columns)].copy()
        base = start - start % mmap.ALLOCATIONGRANULARITY
        # Maps only the crop and unmaps it: kept mappings of many images would count as memory of this process.
        mapped = mmap.mmap(self._file, rows * row_bytes + start - base, offset=base, prot=mmap.PROT_READ)
        try:
            whole = np.frombuffer(mapped, np.uint8, offset=start - base).reshape(rows, row_bytes)
            part = whole[:, slice(*columns)].copy()
            del whole  # a mapping with a view of it cannot be closed
            return part
        finally:
            mapped.close()

    def text(self, span: Span) -> str:
        """Reads a UTF-8 string."""
        return os.pread(self._file, span[1] - span[0], span[0]).decode()

    def _index(self, count: int) -> list[dict[str, Feature]]:
        data = FileBytes(self._file)
        if not len(data):
            raise BadShard(self.path, "empty file")
        examples = []
        for start, stop in self._records(data):
            try:
                examples.append(parse_example(data, start, stop))
            except (ValueError, IndexError, struct.error) as error:
                raise BadShard(self.path, f"record {len(examples)} is damaged ({error})") from error
        if len(examples) != count:
            raise BadShard(self.path, f"holds {len(examples)} records, dataset_info.json says {count}")
        return examples

    def _records(self, data: FileBytes) -> list[Span]:
        spans: list[Span] = []
        at, size = 0, len(data)
        while at < size:
            length = struct.unpack("<Q", data[at : at + 8])[0] if at + HEADER <= size else size
            start, stop = at + HEADER, at + HEADER + length
            at = stop + FOOTER
            if at > size:
                raise BadShard(self.path, f"truncated: record {len(spans)} ends after the last byte, {size}")
            spans.append((start, stop))
        return spans
