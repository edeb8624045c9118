"""A lock that lets one run at a time write to a workdir.

The system releases the file lock when the process ends for any reason, so locks are never stale. The file names the
holder. The lock is advisory; on network file systems it works as far as they implement locks, and a note is logged if
they do not.

A bucket has no locks. There the file is only a note for the next run.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from ultrabm_jax.buckets import AnyPath, replace_text
from ultrabm_jax.errors import UserError

NAME = "lock"
UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def hold_workdir(workdir: AnyPath) -> Iterator[str | None]:
    """Creates `workdir` and holds its lock; yields a note if the file system or store does not support locks.

    Raises UserError if another process holds the lock, naming its host and process id, or if the folder cannot be
    written.
    """
    if not isinstance(workdir, Path):
        with _announce(workdir) as warning:
            yield warning
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        file, note = _acquire(workdir / NAME)
    except OSError as error:
        raise UserError(f"{workdir} cannot be written ({error.strerror}); use another --workdir") from error
    try:
        yield note
    finally:
        with contextlib.suppress(OSError):
            (workdir / NAME).unlink()
        os.close(file)


@contextlib.contextmanager
def _announce(workdir: AnyPath) -> Iterator[str]:
    """Names this process in the file until the end, and yields a note that names the process that is there already."""
    path = workdir / NAME
    try:
        earlier = path.read_bytes() if path.exists() else None
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        own = json.dumps({**_this_process(), "started": now})
        replace_text(path, own + "\n")
    except OSError as error:
        raise UserError(f"{workdir} cannot be written ({error.strerror or error}); use another --workdir") from error
    note = f"{workdir}: object stores have no locks; make sure that no other run writes there"
    if earlier is not None:
        note += f"; {_describe(earlier)} was killed, or it is still writing there"
    try:
        yield note
    finally:
        with contextlib.suppress(Exception):  # gcsfs and Google's libraries raise unrelated types
            if path.read_text() == own + "\n":
                path.unlink()


def _acquire(path: Path) -> tuple[int, str | None]:
    """(file descriptor, note). Opens the file again if its previous holder has removed it meanwhile."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            note = _lock(file, path)
            if _same(file, path):
                os.truncate(file, 0)
                os.pwrite(file, json.dumps(_this_process()).encode() + b"\n", 0)
                return file, note
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _lock(file: int, path: Path) -> str | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _describe(os.pread(file, 1000, 0))
        raise UserError(f"another run is writing in {path.parent}: {holder}; wait, or use another --workdir") from None
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return f"{path.parent} does not support locks ({error.strerror}); make sure that no other run writes there"
    return None


def _same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _this_process() -> dict[str, str | int]:
    return {"host": socket.gethostname(), "process": os.getpid()}


def _describe(content: bytes) -> str:
    try:
        who = json.loads(content)
        return f"process {who['process']} on {who['host']}"
    except (ValueError, KeyError, TypeError):
        return "an unknown process"
