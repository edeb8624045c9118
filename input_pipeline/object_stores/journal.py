"""What is known of the local copies of a bucket's objects, so that a start need not read them all again.

One JSON line [name in the bucket, version of the object, bytes, modification time in ns of the file] is added for each
file before it gets its name; of several lines for a name the last one counts. A killed process loses no line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

Entry = tuple[str, int, int]  # version of the object, bytes, ns


class Journal:
    """The entries of `path`, which need not exist. A line that is not whole is ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: dict[str, Entry] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                name, *entry = json.loads(line)
                version, size, time_ns = entry
            except (ValueError, TypeError):
                continue
            self.entries[str(name)] = (str(version), int(size), int(time_ns))

    def version(self, name: str, file: Path) -> str | None:
        """The version of the object that `file` is a copy of; None if it is unknown or the file was changed."""
        version, size, time_ns = self.entries.get(name, ("", -1, -1))
        status = file.stat()
        return version if (status.st_size, status.st_mtime_ns) == (size, time_ns) else None

    def add(self, name: str, version: str, file: Path) -> None:
        """Notes that `file` is a copy of this version of the object `name`."""
        status = file.stat()
        self.entries[name] = (version, status.st_size, status.st_mtime_ns)
        with self._path.open("a") as journal:
            journal.write(_line(name, self.entries[name]))

    def remove(self, names: Iterable[str]) -> None:
        """Forgets these objects, and all lines that later ones have replaced."""
        for name in names:
            self.entries.pop(name, None)
        temporary = self._path.with_name(f"{self._path.name}.tmp")
        temporary.write_text("".join(_line(name, entry) for name, entry in self.entries.items()))
        os.replace(temporary, self._path)


def _line(name: str, entry: Entry) -> str:
    return json.dumps([name, *entry]) + "\n"
