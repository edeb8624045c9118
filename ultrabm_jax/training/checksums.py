"""Detects checkpoint files that have changed since they were written.

Orbax detects missing and truncated files, but not one with a zeroed block: it compresses arrays without checksums and
returns wrong values. The size and CRC-32 of each file are therefore stored next to them.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from ultrabm_jax.buckets import AnyPath, replace_text

NAME = "checksums.json"
CHUNK = 2**22  # bytes read at once


def write_checksums(folder: Path, *, part: str = "default") -> None:
    """Writes the checksums of all files below `folder`/`part`, atomically."""
    checksums = {name: _checksum(folder / name) for name in _files(folder, part)}
    replace_text(folder / NAME, json.dumps(checksums, indent=1) + "\n")


def find_damage(folder: AnyPath) -> str | None:
    """A description of the first file that differs, or None if all agree or there are no checksums, as in a bucket."""
    if not isinstance(folder, Path) or not (folder / NAME).is_file():
        return None
    try:
        expected = dict(json.loads((folder / NAME).read_text()))
        for name, (size, crc) in expected.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size:
                return f"{name} has {path.stat().st_size:,} of {size:,} bytes"
            if _checksum(path)[1] != crc:
                return f"{name} has changed since it was written"
    except (ValueError, TypeError):
        return f"{NAME} cannot be read"
    except OSError as error:
        return str(error)
    return None


def _files(folder: Path, part: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / part).rglob("*") if path.is_file())


def _checksum(path: Path) -> tuple[int, int]:
    """(size, CRC-32)."""
    crc = size = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
    return size, crc
