"""Assigns examples to shards, from names and headers alone, before any image is decoded.

A split is a list of entries in natural order of their names. All shards but the last hold the same number n of them, so
example i is in shard i // n, and the plan is the same on every machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import read_rgb_uint8

SHARD_BYTES = 256 * 2**20  # of pixels: few files, and little work to repeat after a kill

Example = dict[str, Any]  # feature -> array, text, number or bool, as its TFDS feature takes it


@dataclass(frozen=True)
class Entry:
    """An example before decoding. `fields`: finished features; `files`: by feature; `nbytes`: size of its pixels."""

    name: str
    files: Mapping[str, Path]
    nbytes: int
    fields: Mapping[str, Any] = field(default_factory=dict)  # values as in `Example`


Read = Callable[[Entry], Example]  # a module-level function, so that it can be pickled


def read_images(entry: Entry) -> Example:
    """Reads every file of an entry as uint8 RGB."""
    return {feature: read_rgb_uint8(path) for feature, path in entry.files.items()}


@dataclass(frozen=True)
class Shard:
    """One file of records; calling it decodes its examples one by one (TFDS's ExampleGeneratorFn)."""

    split: str
    file_name: str
    entries: tuple[Entry, ...]
    read: Read

    def __call__(self) -> Iterator[tuple[str, Example]]:
        for entry in self.entries:
            yield entry.name, {"name": entry.name, **entry.fields, **self.read(entry)}


def plan(
    split: str, entries: Sequence[Entry], *, read: Read, file_name: Callable[..., str], shard_bytes: int
) -> list[Shard]:
    """Plans the shards of one split; `file_name(shard_index=, num_shards=)` returns their names."""
    _require_unique(split, entries)
    mean = sum(entry.nbytes for entry in entries) / len(entries)
    each = max(1, round(shard_bytes / max(1, mean)))
    count = -(-len(entries) // each)
    return [
        Shard(split, file_name(shard_index=k, num_shards=count), tuple(entries[k * each : (k + 1) * each]), read)
        for k in range(count)
    ]


def fingerprint(shards: Iterable[Shard], *, root: Path, salt: str) -> str:
    """A hash of all files' names, sizes and modification times, of all fields, and of the plan."""
    digest = hashlib.sha256(salt.encode())
    for shard in shards:
        digest.update(shard.file_name.encode())
        for entry in shard.entries:
            files = [(feature, *_state(path, root)) for feature, path in sorted(entry.files.items())]
            digest.update(repr((entry.name, sorted(entry.fields.items()), files)).encode())
    return digest.hexdigest()[:16]


def _state(path: Path, root: Path) -> tuple[str, int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return Path(os.path.relpath(path, root)).as_posix(), state.st_size, state.st_mtime_ns


def _require_unique(split: str, entries: Sequence[Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise UserError(f"data set: two examples of {split} have the name {entry.name!r}")
        seen.add(entry.name)
