"""Records of what restore.py wrote into a folder, and from which files: FOLDER/.restore.jsonl.

An existing output is kept only if its record names the same unchanged source, and a file that was made from another
input of the same run is not an input. Sources are stored relative to the folder, so a moved tree keeps its records.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

NAME = ".restore.jsonl"  # hidden, so no listing takes it for data


@dataclasses.dataclass(frozen=True)
class Record:
    """One restored input: its identity, size in bytes and time of change, and the files that are written.

    A record is written before the outputs, and once more, `complete`, after them: a run that is interrupted meanwhile
    leaves files that the next run may replace.
    """

    source: str
    size: int
    modified: int  # nanoseconds
    stem: str  # of the output's name, without what samples or brightness factors add
    outputs: tuple[str, ...]  # names in the folder of the record
    complete: bool


def identity(path: str | os.PathLike[str]) -> str:
    """The absolute path in which the folder's links are resolved: one for all spellings of a path."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def state_of(source: Path) -> tuple[int, int] | None:
    """(size, time of change) of a file; None if it cannot be examined."""
    try:
        status = source.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def read_records(folder: Path) -> list[Record]:
    """The records of a folder, oldest first; lines that are damaged, such as a cut last one, are left out."""
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    base, records = os.path.realpath(folder), []
    for line in lines:
        try:
            fields = json.loads(line)
            source = os.path.normpath(os.path.join(base, fields.pop("source")))
            records.append(Record(source=source, outputs=tuple(fields.pop("outputs")), **fields))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return records


def append_record(source: Path, state: tuple[int, int], *, stem: str, outputs: Sequence[Path], complete: bool) -> None:
    """Records that `outputs`, which share one folder, are made from `source` as it was in `state`."""
    folder = outputs[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    fields = {
        "source": os.path.relpath(identity(source), os.path.realpath(folder)),
        "size": state[0],
        "modified": state[1],
        "stem": stem,
        "outputs": [path.name for path in outputs],
        "complete": complete,
    }
    with open(folder / NAME, "a", encoding="utf-8") as file:
        file.write(json.dumps(fields) + "\n")


class OutputOrigins:
    """Which file each existing output was made from; reads the records of a folder once."""

    def __init__(self) -> None:
        self._newest: dict[Path, dict[str, Record]] = {}  # folder: name of an output: its newest record

    def of(self, output: Path) -> Record | None:
        """The newest record of an output."""
        if output.parent not in self._newest:
            records = read_records(output.parent)
            self._newest[output.parent] = {name: record for record in records for name in record.outputs}
        return self._newest[output.parent].get(output.name)

    def are_current(self, source: Path, outputs: Sequence[Path]) -> bool:
        """Whether all outputs exist and were made from `source` in its present state."""
        if not all(os.path.exists(path) for path in outputs):
            return False
        wanted = (True, identity(source), state_of(source))
        records = [self.of(path) for path in outputs]
        return all(r is not None and (r.complete, r.source, (r.size, r.modified)) == wanted for r in records)

    def foreign(self, source: Path, outputs: Sequence[Path]) -> list[Path]:
        """The existing outputs that are not recorded as made from `source`."""
        existing = {path: self.of(path) for path in outputs if os.path.exists(path)}
        return [path for path, record in existing.items() if record is None or record.source != identity(source)]
