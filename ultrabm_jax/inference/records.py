"""Records of what restore.py wrote into a folder, and from which files: FOLDER/.restore.jsonl.

An existing output is kept only if its record names the same source and neither of the two files has changed since. A
file that was made from another input of the same run is not an input. Sources are stored relative to the folder, so a
moved tree keeps its records.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrabm_jax.errors import UserError
from ultrabm_jax.image import is_image
from ultrabm_jax.image.listing import list_folder

NAME = ".restore.jsonl"  # hidden, so no listing takes it for data


@dataclasses.dataclass(frozen=True)
class FileState:
    """What a file held, or a folder of frames.

    Files of one size and time of modification are common: archives set one time for all.
    """

    size: int  # bytes; of a folder: its number of images
    modified: int  # nanoseconds
    changed: int  # nanoseconds; no program can set it
    sha256: str | None  # None: the times alone decide whether it has changed

    def is_of(self, path: Path) -> bool:
        """Whether `path` holds the same bytes; reads the file only if its times differ."""
        try:
            if path.is_dir():
                return _folder_state(path) == self
            status = path.stat()
            if status.st_size != self.size:
                return False
            unchanged = (status.st_mtime_ns, status.st_ctime_ns) == (self.modified, self.changed)
            return unchanged or (self.sha256 is not None and _sha256(path) == self.sha256)
        except OSError:
            return False


@dataclasses.dataclass(frozen=True)
class Record:
    """One restored input, and the files that are written.

    A record is written before the outputs, and once more, `complete`, after them: a run that is interrupted meanwhile
    leaves files that the next run may replace.
    """

    source: str  # its identity
    input: FileState
    stem: str  # of the output's name, without what samples or brightness factors add
    outputs: dict[str, FileState | None]  # by name in the folder of the record; None unless complete
    options: Mapping[str, object] | None = None  # that the result depends on; None: not recorded
    stateless: bool = False  # of an earlier version, which did not record what the outputs held

    @property
    def complete(self) -> bool:
        """Whether all outputs have been written."""
        return None not in self.outputs.values()


def identity(path: str | os.PathLike[str]) -> str:
    """The absolute path in which the folder's links are resolved: one for all spellings of a path."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def state_of(path: Path, *, hashed: bool = True) -> FileState | None:
    """The state of a file, or of the images directly in a folder; None if it cannot be read.

    Without `hashed`, the file is not opened. A folder is judged by the names, sizes and times of its images.
    """
    try:
        if path.is_dir():
            return _folder_state(path)
        status = path.stat()  # before reading: a file that changes meanwhile counts as changed
        digest = _sha256(path) if hashed else None
        return FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns, digest)
    except OSError:
        return None


def _folder_state(folder: Path) -> FileState:
    files = [(path.name, path.stat()) for path in list_folder(folder) if is_image(path)]
    listed = json.dumps([(name, status.st_size, status.st_mtime_ns) for name, status in files])
    return FileState(len(files), 0, 0, hashlib.sha256(listed.encode()).hexdigest())


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
            if isinstance(fields["outputs"], list):
                fields = _stateless(fields)
            outputs = {str(name): state and FileState(**state) for name, state in fields["outputs"].items()}
            source = os.path.normpath(os.path.join(base, fields["source"]))
            state, stem = FileState(**fields["input"]), str(fields["stem"])
            options = fields.get("options")
            options = options if isinstance(options, dict) else None
            records.append(Record(source, state, stem, outputs, options, bool(fields.get("stateless"))))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return records


# Any: values of a JSON object.
def _stateless(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record of an earlier version: size and time of the input, and the names of the outputs."""
    state = FileState(fields["size"], fields["modified"], 0, None)
    outputs = dict.fromkeys(map(str, fields["outputs"]))
    return {**fields, "input": dataclasses.asdict(state), "outputs": outputs, "stateless": bool(fields["complete"])}


def outputs_of(sources: Collection[str]) -> set[str]:
    """The identities of files that were made from one of `sources`, into the folder of one of them."""
    folders = {os.path.dirname(name) for name in sources}
    records = ((folder, record) for folder in folders for record in read_records(Path(folder)))
    return {
        os.path.join(folder, name) for folder, record in records if record.source in sources for name in record.outputs
    }


def check_records(folder: Path) -> None:
    """Raises UserError if the record file of a folder exists and cannot be extended."""
    path = folder / NAME
    if os.path.lexists(path):
        try:
            with open(path, "ab"):
                pass
        except OSError as error:
            raise UserError(
                f"{path} cannot be written ({error.strerror}); delete it, or use another --output"
            ) from error


def append_record(
    source: Path,
    state: FileState,
    *,
    stem: str,
    outputs: Sequence[Path],
    complete: bool,
    options: Mapping[str, object] | None = None,
) -> None:
    """Records that `outputs`, which share one folder, are made with `options` from `source` as it was in `state`."""
    folder = outputs[0].parent
    folder.mkdir(parents=True, exist_ok=True)
    written = {path.name: state_of(path) if complete else None for path in outputs}
    fields = {
        "source": os.path.relpath(identity(source), os.path.realpath(folder)),
        "input": dataclasses.asdict(state),
        "stem": stem,
        "outputs": {
            name: written_state and dataclasses.asdict(written_state) for name, written_state in written.items()
        },
        "options": options,
    }
    try:
        with open(folder / NAME, "a+b") as file:
            start = b"" if _ends_a_line(folder / NAME) else b"\n"  # after a line that a full disk has cut
            file.write(start + json.dumps(fields).encode() + b"\n")
    except OSError as error:
        raise UserError(f"{folder / NAME} cannot be written: {error.strerror}") from error


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


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
        """Whether all outputs exist unchanged and were made from `source` as it is."""
        records = [self.of(path) for path in outputs]
        return all(
            record is not None
            and record.complete
            and record.source == identity(source)
            and not _has_changed(record, path)
            for record, path in zip(records, outputs, strict=True)
        ) and all(record.input.is_of(source) for record in {id(r): r for r in records if r is not None}.values())

    def other_options(self, outputs: Sequence[Path], options: Mapping[str, object]) -> set[str]:
        """The names of options with other values than `options` in a record of these outputs, as far as recorded."""
        recorded = [record.options for path in outputs if (record := self.of(path)) and record.options is not None]
        names = {name for found in recorded for name in (*found, *options)}
        return {name for name in names if any(found.get(name) != options.get(name) for found in recorded)}

    def why_foreign(self, source: Path, outputs: Sequence[Path]) -> str:
        """Why an existing output must not be replaced; empty if all were made from `source` and are unchanged."""
        for path in outputs:
            if not os.path.exists(path):
                continue
            record = self.of(path)
            if record is None or record.source != identity(source):
                return f"{path} exists and was not made from this file"
            if record.stateless:
                return f"{path} was recorded by an earlier version, without what it held"
            if _has_changed(record, path):
                return f"{path} was changed after it was restored"
        return ""


def _has_changed(record: Record, output: Path) -> bool:
    """Whether a complete output is missing or holds other bytes than were written."""
    state = record.outputs[output.name]
    return state is not None and not state.is_of(output)
